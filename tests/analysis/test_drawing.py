"""Parts that figures share."""

from analysis.shared.drawing import typeset


def test_only_signs_of_numbers_become_minus_signs():
    text = typeset(
        "from -0.53 to 1.55 (-5.1, **-2** points) in MLP-2 w64, 1e-06, 2024-01, CIFAR-10"
    )
    assert text == "from −0.53 to 1.55 (−5.1, **−2** points) in MLP-2 w64, 1e-06, 2024-01, CIFAR-10"
