-- What becomes of tables, types, triggers and policies from 0.1.0 to 0.1.1. tools/extension-files.sh adds the rest.
ALTER TABLE auth.redirect_urls ADD COLUMN note text;
