"""Keep the recovery host's filestore in step with its standby's own database.

Odoo's filestore is content-addressed, so the standby knows exactly which files it needs: ask it,
fetch what is missing, check the sha1. Runs on the recovery host as Odoo's user. Python 3.8,
standard library alone.
"""
