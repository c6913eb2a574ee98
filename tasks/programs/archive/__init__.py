"""What the time machine keeps on the recovery host: base backups, and all WAL since."""
