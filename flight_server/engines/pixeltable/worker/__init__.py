"""What runs in the process that holds Pixeltable: the one place that imports it."""
