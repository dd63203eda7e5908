"""What each action of the security log is called on a page. Pure."""

from __future__ import annotations

from cloud.dashboard.words import N_, event_name

ACTIONS = {
    "account_created": N_("Account made"),
    "signed_in": N_("Signed in"),
    "sign_in_failed": N_("Sign-in failed"),
    "signed_out": N_("Signed out"),
    "password_changed": N_("Password changed"),
    "suspended_sign_in": N_("Suspended account tried to sign in"),
    "reset_asked": N_("Link for a lost password asked for"),
    "password_reset": N_("Password replaced by a link"),
    "token_made": N_("API token made"),
    "token_revoked": N_("API token revoked"),
    "claim_opened": N_("Claim code made"),
    "claim_denied": N_("Claim cancelled"),
    "claim_bound": N_("Station found for a claim"),
    "claim_succeeded": N_("Station added"),
    "wrong_code": N_("Wrong PIN or link"),
    "hardware_changed": N_("Parts of a station's machine changed"),
    "network_refused": N_("Requests from a refused network"),
    "wrong_challenge": N_("Wrong answer to a challenge"),
    "command_queued": N_("Order given to a station"),
    "config_changed": N_("Settings of a station changed"),
    "config_refused": N_("A station refused its settings"),
    "invited": N_("Somebody invited to a station"),
    "role_changed": N_("Somebody's role at a station changed"),
    "access_accepted": N_("Invitation accepted"),
    "access_declined": N_("Invitation declined"),
    "access_ended": N_("Access to a station ended"),
    "station_suspended": N_("Station suspended"),
    "station_resumed": N_("Station resumed"),
    "account_suspended": N_("Account suspended"),
    "account_resumed": N_("Account resumed"),
    "administrator_made": N_("Became administrator"),
    "administrator_ended": N_("No longer administrator"),
    "data_exported": N_("Copy of all data taken"),
    "station_deleted": N_("Station deleted"),
    "account_deleted": N_("Account deleted"),
    "blocked": N_("Shut out for an hour after too many tries"),
    "bad_signature": N_("Forged or damaged request"),
    "replayed_nonce": N_("Repeated request"),
    "revoked_use": N_("Blocked key or station tried to send"),
    "foreign_path": N_("A station reached for another one"),
}


def action_words(action: str) -> str:
    """An action as people read it; a newer one is shown by its own name."""
    return ACTIONS.get(action, event_name(action))
