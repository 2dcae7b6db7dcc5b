"""What surrounds the product: set-up of a checkout, local servers, the demo. Nothing imports it but tests."""
