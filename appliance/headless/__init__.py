"""Setting a station up without a display: by a text file on the boot partition."""
