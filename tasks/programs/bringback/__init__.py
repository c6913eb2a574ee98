"""A database as it was, written as Odoo's own backup: dump.sql, filestore and manifest.json."""
