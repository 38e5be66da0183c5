"""What all else stands on: names, errors, specs, places, texts. No torch but in `placing`, inside `rng`."""
