"""The one template, in the version of the model."""

from testing_crew import prompt

CODE = "# module: shop\n# unit: price\ndef price(x):\n    return x\n"


def test_the_newest_version_names_the_unit_and_earlier_ones_do_not():
    assert "# module: shop\n# unit: price\ndef price" in prompt.generate(CODE)
    for version in (1, 2):
        for asked in (
            prompt.generate(CODE, version),
            prompt.repair(CODE, "x = 1", "", version),
            prompt.complete(CODE, "x = 1", "", version=version),
        ):
            assert "# module: shop\ndef price" in asked


def test_a_comment_of_the_code_s_own_stays():
    own = "# module: shop\nX = 1\n# unit: metres\n"
    assert "# unit: metres" in prompt.generate(own, 1)
