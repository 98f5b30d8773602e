import struct

import pytest
import tiny_gguf

from testing_crew.backends.gguf import BadGGUF, read_header


def test_the_header_says_what_the_file_holds(models):
    header = read_header(models["chat"])
    assert header.architecture == "llama"
    assert header.number("context_length") == 1024
    assert header.number("no_such_key") is None
    assert header.chat_template == tiny_gguf.CHAT_TEMPLATE
    assert header.arrays["tokenizer.ggml.tokens"] == 263
    assert header.shapes["token_embd.weight"] == (320, 263)
    assert read_header(models["chain"]).chat_template is None


def test_a_file_cut_anywhere_is_refused(models, tmp_path):
    whole = models["noise"].read_bytes()
    header_ends = whole.index(b"token_embd.weight") + 1200
    lengths = {*range(0, header_ends, 37), *range(header_ends, len(whole), 20011), 1, 3, 4, 8, 23, 24, len(whole) - 1}
    file = tmp_path / "cut.gguf"
    for length in sorted(lengths):
        file.write_bytes(whole[:length])
        with pytest.raises(BadGGUF, match=r"it is (cut short|empty)"):
            read_header(file)
    file.write_bytes(whole)
    read_header(file)


def test_a_file_that_is_too_long_is_taken(models, tmp_path):
    file = tmp_path / "long.gguf"
    file.write_bytes(models["noise"].read_bytes() + b"more")
    assert read_header(file).architecture == "llama"


@pytest.mark.parametrize(
    ("at", "bytes_there", "says"),
    [
        (0, b"PK\x03\x04", "it is not a GGUF file: it begins with b'PK"),
        (4, struct.pack("<I", 1), "it has GGUF version 1; llama.cpp reads versions 2 and 3"),
        (4, struct.pack("<I", 9), "it has GGUF version 9"),
        (4, struct.pack(">I", 3), "it is a big-endian GGUF"),
        (8, struct.pack("<Q", 0), "it has no tensors"),
        (8, struct.pack("<Q", 2**60), "dimensions|cut short"),
        (16, struct.pack("<Q", 2**60), "unknown type|cut short"),
        (24, struct.pack("<Q", 2**62), "it is cut short"),
    ],
)
def test_a_wrong_header_is_refused(models, tmp_path, at, bytes_there, says):
    data = bytearray(models["noise"].read_bytes())
    data[at : at + len(bytes_there)] = bytes_there
    file = tmp_path / "wrong.gguf"
    file.write_bytes(data)
    with pytest.raises(BadGGUF, match=says):
        read_header(file)


def test_a_pointer_of_git_lfs_is_called_that(tmp_path):
    file = tmp_path / "pointer.gguf"
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    with pytest.raises(BadGGUF, match="Git LFS pointer"):
        read_header(file)


def test_a_wild_alignment_and_an_unknown_type_are_refused(models, tmp_path):
    whole = models["noise"].read_bytes()
    file = tmp_path / "wrong.gguf"
    # The last tensor entry ends with its type and its offset.
    at = whole.index(b"blk.0.ffn_down.weight") + len(b"blk.0.ffn_down.weight") + 4 + 16
    file.write_bytes(whole[:at] + struct.pack("<I", 4) + whole[at + 4 :])
    with pytest.raises(BadGGUF, match="has the type 4"):
        read_header(file)
    renamed = whole.replace(b"llama.vocab_size", b"general.alignmen", 1)
    key = renamed.index(b"general.alignmen")
    renamed = renamed[: key - 8] + struct.pack("<Q", 17) + b"general.alignment" + renamed[key + 16 :]
    file.write_bytes(renamed)
    with pytest.raises(BadGGUF, match="alignment of 260 is not a power of two"):
        read_header(file)


def test_what_llama_cpp_would_abort_over_is_refused(models, tmp_path):
    whole = models["noise"].read_bytes()
    file = tmp_path / "wrong.gguf"
    file.write_bytes(whole.replace(b"\x01\0\0\0\0\0\0\0x", b"\x01\0\0\0\0\0\0\0y"))
    with pytest.raises(BadGGUF, match="its vocabulary has the token 'y' twice"):
        read_header(file)
    for key, number, says in (
        (b"llama.block_count", 1281, "it says that it has 1281 layers, and has fewer"),
        (b"llama.attention.head_count_kv", 4, "it says that 4 heads of keys serve 2 heads of attention"),
    ):
        at = whole.index(key) + len(key) + 4
        file.write_bytes(whole[:at] + struct.pack("<I", number) + whole[at + 4 :])
        with pytest.raises(BadGGUF, match=says):
            read_header(file)


def test_damage_in_the_header_never_raises_anything_else(models, tmp_path):
    whole = models["noise"].read_bytes()
    file = tmp_path / "damaged.gguf"
    refused = 0
    for at in range(4, whole.index(b"token_embd.weight") + 900, 7):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        file.write_bytes(damaged)
        try:
            read_header(file)
        except BadGGUF:
            refused += 1
    assert refused > 100
