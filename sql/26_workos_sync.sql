-- How the mirror of WorkOS is kept: events that are asked for, webhooks, and the comparison with all that WorkOS has. The code of each stands in
-- src/mirror.

-- Procedures that commit can be neither SECURITY DEFINER nor have SET: they take the owner's rights for each step.
CREATE PROCEDURE auth.sync_workos(max_pages integer DEFAULT 20)
    LANGUAGE c AS 'MODULE_PATHNAME', 'sync_workos_wrapper';
COMMENT ON PROCEDURE auth.sync_workos(integer) IS
    'asks WorkOS for what happened since the last time and applies it, a page at a time, and commits after each; at most max_pages of them. It is called outside of every transaction. Where the tables were never compared with WorkOS, or no page came for 25 days, the error reconciliation_needed says so';

CREATE PROCEDURE auth.reconcile_workos(organization text DEFAULT NULL)
    LANGUAGE c AS 'MODULE_PATHNAME', 'reconcile_workos_wrapper';
COMMENT ON PROCEDURE auth.reconcile_workos(text) IS
    'compares the tables with all that WorkOS has, or has of one organization, a page at a time, and commits after each. What WorkOS has no more is removed at the end of a list that came whole, and its sessions end. It is for the first time, for a restored backup, and for whenever auth.sync_workos asks for it';

CREATE FUNCTION auth.set_webhook_secret(secret text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'set_webhook_secret_wrapper';
COMMENT ON FUNCTION auth.set_webhook_secret(text) IS
    'keeps the secret of the webhook endpoint, as the WorkOS dashboard shows it, sealed; NULL removes it. auth.configure_workos with another client_id or api_url removes it too';

CREATE FUNCTION auth.receive_webhook(body text, signature text) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'receive_webhook_wrapper';
COMMENT ON FUNCTION auth.receive_webhook(text, text) IS
    'verifies a webhook of WorkOS and applies its event: body is as it came, signature the header WorkOS-Signature. Returns what became of it: applied, known (it was applied before), skipped (its type is none that is followed) or left. What is left is about who is in a group, which depends on the order of events: the next auth.sync_workos applies it';
