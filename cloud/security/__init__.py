"""Who may do what: people with sessions, devices with signatures, limits and the audit trail."""
