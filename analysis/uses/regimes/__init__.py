"""What labels give, over several seeds: every selection under every regime at every size."""
