"""Files that reach for what is outside: the file system, the home, the network, other processes, the machine."""

from __future__ import annotations

import os
import sysconfig
from concurrent.futures import Future

from .conftest import Case, Host, World, test_contained_and_told, test_refused  # noqa: F401

FREE = "passed"  # an attempt that comes to nothing is an honest test file


def writes(*places: str) -> Case:
    return Case(
        f"""\
        @pytest.mark.parametrize("place", {places!r})
        def test_a(place):
            for act in (lambda p: p.write_text("x"), lambda p: p.mkdir(), lambda p: p.symlink_to("/etc/passwd")):
                try:
                    act(pathlib.Path(place, "@MARK@"))
                except OSError:
                    pass
            assert add(1, 2) == 3
        """,
        FREE,
        refused=None,
    )


def attempts(**calls: str) -> Case:
    """Calls that must each raise an error of the system; where one does not, its test fails."""
    text = "libc = ctypes.CDLL(None, use_errno=True)\n"
    for name, call in calls.items():
        lines = "".join(f"        {line}\n" for line in call.splitlines())
        text += f"def test_{name}():\n    with pytest.raises(OSError):\n{lines}    assert add(1, 2) == 3\n"
    return Case(text, FREE, refused=None)


def must(call: str) -> str:
    """A call of the C library that raises what went wrong."""
    return f"if {call} == -1:\n    raise OSError(ctypes.get_errno(), 'refused')"


NESTED = """\
libc = ctypes.CDLL(None, use_errno=True)
def inside():
    if libc.unshare(0x10000000 | 0x20000):  # a user and a mount namespace
        return
    for line in open("/proc/self/mountinfo").read().splitlines():
        libc.umount2(line.split()[4].encode(), 2)
    for place in ("/", "@PROJECT@", "/etc", "@HIDDEN@"):
        libc.mount(b"none", place.encode(), None, 32 | 4096, None)  # writable again
        try:
            pathlib.Path(place, "@MARK@").write_text("x")
            os._exit(3)
        except OSError:
            pass
    os._exit(4 if os.path.exists("@HIDDEN@") else 0)
def test_a():
    child = os.fork()
    if not child:
        try:
            inside()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == add(0, 0)
"""
CASES = {
    "files in the project": writes("@PROJECT@", "@PROJECT@/.."),
    "files in the home": writes("@HIDDEN@", "/root" if os.getuid() == 0 else os.path.expanduser("~"), "/home"),
    "files in temp folders": writes("/tmp", "/var/tmp", "/dev/shm", "@TEMPORARY@", "/run"),
    "files in the system": writes("/etc", "/", "/opt", "/usr/local", "/proc/1/root/etc", "/proc/sys/kernel", "/sys"),
    "files in the interpreter": writes(sysconfig.get_path("purelib"), sysconfig.get_path("stdlib")),
    # -- what is open when a run begins, and what outlives one
    "open files of the runner": Case(
        """\
        def test_a():
            for name in os.listdir("/proc/self/fd"):
                try:
                    led = os.readlink(f"/proc/self/fd/{name}")
                except FileNotFoundError:  # the one that listed them
                    continue
                assert not led.startswith(("socket:", "anon_inode:", "pid:", "mnt:", "net:")), led
                assert not os.path.isdir(f"/proc/self/fd/{name}"), led
        """,
        "passed",
        refused=None,
    ),
    "a key ring": Case(
        """\
        def test_a():
            add_key, search = {"x86_64": (248, 250), "aarch64": (217, 219)}[os.uname().machine]
            libc = ctypes.CDLL(None)
            for ring in (-3, -4, -5):
                assert libc.syscall(search, 10, ring, b"user", b"adversary", 0) == -1
                assert libc.syscall(add_key, b"user", b"adversary", b"x", 1, ring) == -1
        """,
        "passed",
        refused=None,
        again=True,
    ),
    # -- the project
    "the target rewritten": Case(
        """\
        path = pathlib.Path(mathx.__file__)
        try:
            path.write_text("def add(a, b):\\n    return 4\\n")
        except OSError:
            pass
        def test_a():
            assert add(1, 2) == 3
        """,
        FREE,
    ),
    "the project's modes and times": Case(
        """\
        def test_a():
            for act in (lambda p: os.chmod(p, 0), lambda p: os.utime(p, (1, 1)), os.remove, lambda p: os.rename(p, p + "x"),
                        lambda p: os.truncate(p, 0), lambda p: os.link(p, "/tmp/x"), lambda p: os.setxattr(p, "user.x", b"x")):
                for path in ("@PROJECT@", "@PROJECT@/mathx.py"):
                    try:
                        act(path)
                    except OSError:
                        pass
            assert add(1, 2) == 3
        """,
        FREE,
        refused=None,
    ),
    "a link to the project in scratch": Case(
        """\
        def test_a(tmp_path):
            for folder in (tmp_path, pathlib.Path(os.environ["TMPDIR"]), pathlib.Path(__file__).parent, pathlib.Path.home()):
                (folder / "to the folder").symlink_to("@PROJECT@")
                (folder / "to the file").symlink_to("@PROJECT@/mathx.py")
                (folder / "to the hidden").symlink_to("@HIDDEN@")
                (folder / "locked").mkdir()
                (folder / "locked" / "link").symlink_to("@PROJECT@")
                (folder / "locked").chmod(0)
            assert add(1, 2) == 3
        """,
        FREE,
        refused=None,
        checks=(lambda world: os.path.exists(world.facts["HIDDEN"] + "/secret"),),
    ),
    "the scratch folder is a link": Case(
        """\
        def test_a():
            scratch = pathlib.Path(os.environ["TMPDIR"]).parent
            for folder in (scratch, *scratch.iterdir()):
                try:
                    os.rename(folder, str(folder) + "x")
                    os.symlink("@PROJECT@", folder)
                except OSError:
                    pass
            assert add(1, 2) == 3
        """,
        "passed crashed error failed",
        refused=None,
        follow=True,
    ),
    # -- what may not be read
    "the user's home": Case(
        """\
        def test_a():
            with pytest.raises(OSError):
                print(pathlib.Path("@HIDDEN@/secret").read_text())
            assert not os.path.exists("@HIDDEN@")
            assert add(1, 2) == 3
        """,
        FREE,
        refused=None,
    ),
    "the home through other processes": Case(
        """\
        def test_a():
            for name in os.listdir("/proc"):
                for way in ("root", "cwd"):
                    assert not os.path.exists(f"/proc/{name}/{way}/@HIDDEN@/secret")
                    assert not os.path.exists(f"/proc/{name}/{way}/../../../../../@HIDDEN@/secret")
            assert add(1, 2) == 3
        """,
        FREE,
        refused=None,
    ),
    "the environment of others": Case(
        """\
        def test_a():
            for entry in pathlib.Path("/proc").glob("[0-9]*"):
                for name in ("environ", "cmdline"):
                    try:
                        text = (entry / name).read_text(errors="replace")
                    except OSError:
                        continue
                    assert "@TERCES@"[::-1] not in text
                    assert "ADVERSARY_SECRET" not in text
            assert add(1, 2) == 3
        """,
        FREE,
        refused=None,
    ),
    "the memory of the first process": Case(
        """\
        def test_a():
            found = []
            for pid in {1, os.getppid()}:
                try:
                    for line in open(f"/proc/{pid}/maps"):
                        first, last = (int(n, 16) for n in line.split()[0].split("-"))
                        if "[stack]" in line or "[heap]" in line:
                            with open(f"/proc/{pid}/mem", "rb", 0) as memory:
                                memory.seek(first)
                                found.append(memory.read(min(last - first, 10**8)))
                except OSError:
                    pass
            assert not any("@TERCES@"[::-1].encode() in piece for piece in found)
            assert add(1, 2) == 3
        """,
        FREE,
        refused=None,
    ),
    "the runs of neighbours": Case(
        """\
        def test_a():
            own = pathlib.Path(__file__).parent
            for above in (own.parent, own.parent.parent, own.parent.parent.parent):
                for path in [*above.glob("*/work/*.py"), *above.glob("*/run/work/*.py"), *above.glob("work/*.py")]:
                    assert path.parent == own
            assert add(1, 2) == 3
        """,
        FREE,
        refused=None,
    ),
    "descriptors of the host": Case(
        """\
        def test_a():
            for pid in {1, os.getppid(), os.getpid()}:
                try:
                    names = os.listdir(f"/proc/{pid}/fd")
                except OSError:
                    continue
                for name in names:
                    try:
                        place = os.readlink(f"/proc/{pid}/fd/{name}")
                    except OSError:
                        continue
                    if os.path.isdir(place):
                        assert not os.path.exists(f"/proc/{pid}/fd/{name}/../@HIDDEN@/secret")
                        assert not os.path.exists(f"/proc/{pid}/fd/{name}/" + "../" * 20 + "@HIDDEN@/secret")
            assert add(1, 2) == 3
        """,
        FREE,
        refused=None,
    ),
    # -- the network
    "sockets of the internet": attempts(
        tcp="socket.create_connection(('127.0.0.1', @TCP@), timeout=3)",
        udp="with socket.socket(type=socket.SOCK_DGRAM) as one:\n    one.settimeout(0.5)\n"
        "    one.sendto(b'x', ('127.0.0.1', @UDP@))\n    one.recv(1)",
        outside="socket.create_connection(('192.0.2.1', 80), timeout=2)",
        page="import urllib.request\nurllib.request.urlopen('http://127.0.0.1:@TCP@', timeout=2)",
        raw="socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)",
        packet="socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        interface="import fcntl, struct\nwith socket.socket(type=socket.SOCK_DGRAM) as one:\n"
        "    fcntl.ioctl(one, 0x8914, struct.pack('16sh14x', b'eth0', 1))",
    ),
    "a name looked up": attempts(name="socket.getaddrinfo('example.org', 80)"),
    "sockets of the machine": attempts(
        unix="socket.socket(socket.AF_UNIX).connect('@HIDDEN@/socket')",
        abstract="socket.socket(socket.AF_UNIX).connect('\\0@ABSTRACT@')",
        through="socket.socket(socket.AF_UNIX).connect('/proc/1/root@HIDDEN@/socket')",
    ),
    # -- other processes
    "the runner killed by its number": Case(
        "def test_a():\n    try:\n        os.kill(@PID@, 9)\n    except OSError:\n        pass\n    assert add(1, 2) == 3\n",
        "passed crashed",
        refused=None,
    ),
    "the first process traced": Case(
        """\
        libc = ctypes.CDLL(None, use_errno=True)
        def test_a():
            libc.ptrace(16, 1, None, None)
            libc.ptrace(7, 1, None, 9)
            libc.ptrace(16, os.getppid(), None, None)
            assert add(1, 2) == 3
        """,
        "passed crashed timeout",
        limits={"wall_seconds": 4},
        refused=None,
    ),
    "every number killed": Case(
        """\
        def test_a():
            assert sum(name.isdigit() for name in os.listdir("/proc")) < 20  # not on the host
            for pid in range(2, 5000):
                if pid != os.getpid():
                    try:
                        os.kill(pid, 9)
                    except OSError:
                        pass
            time.sleep(1)
            assert add(1, 2) == 3
        """,
        "crashed passed",
        refused=None,
        follow=True,
    ),
    # -- the machine
    "mounts": attempts(
        chroot="os.chroot('/tmp')",
        mount=must("libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)"),
        umount=must("libc.umount2(b'/tmp', 2)"),
        writable=must("libc.mount(b'none', b'/', None, 32 | 4096, None)"),
        unshare=must("libc.unshare(0x20000)"),
        setns=must("libc.setns(os.open('/proc/1/ns/user', os.O_RDONLY), 0)"),
    ),
    "namespaces of a nested user": Case(NESTED, FREE, refused=None),
    "privileges": attempts(
        user="os.setuid(12345)",
        groups="os.setgroups([0])",
        name="socket.sethostname('@MARK@')",
        clock="time.clock_settime(time.CLOCK_REALTIME, 1)",
        device="os.mknod('/tmp/disk', 0o060600, os.makedev(8, 0))\nopen('/tmp/disk', 'rb').read(1)",
        memory="open('/dev/mem', 'rb').read(1)",
        priority="os.setpriority(os.PRIO_PROCESS, 0, -20)",
        group="pathlib.Path('/sys/fs/cgroup/@MARK@').mkdir()",
    ),
    "a program with another's rights": Case(
        """\
        def test_a():
            assert subprocess.run(["su", "-c", "touch /etc/@MARK@"], capture_output=True, stdin=0).returncode != add(0, 0)
        """,
        "passed failed",
        refused=None,
    ),
}


def test_nobody_spoke_to_the_host(played: dict[str, Future[World]], host: Host) -> None:
    for future in played.values():
        future.exception()
    assert not host.reached()
