-- Every failure a program may want to tell apart. A row that changes here changes for every program that looks.
CREATE EXTENSION workos_auth;
SELECT * FROM auth.error_codes;
