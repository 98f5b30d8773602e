"""What runs inside the target's interpreter: standard library and pytest only, copied there file by file."""
