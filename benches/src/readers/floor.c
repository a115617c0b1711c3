/*
 * Functions that do nothing, written as Postgres's own are: what no function of their result type can be cheaper than. And one that
 * does nothing but check a token's signature: what nobody can be cheaper than who does not know the token.
 * The benchmarks compile this file when they start.
 */
#include "postgres.h"

/* AWS-LC's, the library that the extension checks signatures with. */
#include <openssl/bn.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/nid.h>
#include <openssl/sha.h>

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(empty_uuid);
PG_FUNCTION_INFO_V1(empty_text);
PG_FUNCTION_INFO_V1(empty_boolean);
PG_FUNCTION_INFO_V1(empty_jsonb);
PG_FUNCTION_INFO_V1(keep_jsonb);
PG_FUNCTION_INFO_V1(kept_jsonb);
PG_FUNCTION_INFO_V1(keep_key);
PG_FUNCTION_INFO_V1(check_signature);

/* The person of the benchmarks, 6f1c9a4e-2b7d-4e53-9c08-d1a5b3f7e260. */
static pg_uuid_t person = {{
    0x6f, 0x1c, 0x9a, 0x4e, 0x2b, 0x7d, 0x4e, 0x53, 0x9c, 0x08, 0xd1, 0xa5, 0xb3, 0xf7, 0xe2, 0x60
}};

/* Varlenas, whose length includes their header. */
static struct { int32 header; char content[sizeof("authenticated") - 1]; } role = {0, "authenticated"};
static struct { int32 header; uint32 container; } object = {0, JB_FOBJECT};

Datum
empty_uuid(PG_FUNCTION_ARGS)
{
    PG_RETURN_UUID_P(&person);
}

Datum
empty_text(PG_FUNCTION_ARGS)
{
    PG_RETURN_TEXT_P(&role);
}

Datum
empty_boolean(PG_FUNCTION_ARGS)
{
    PG_RETURN_BOOL(true);
}

Datum
empty_jsonb(PG_FUNCTION_ARGS)
{
    PG_RETURN_POINTER(&object);
}

/* A value that is kept for the backend's life, and returned as a reader returns its own: without a copy. */
static Datum kept = (Datum) 0;

Datum
keep_jsonb(PG_FUNCTION_ARGS)
{
    struct varlena *value = PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
    void *copy = malloc(VARSIZE(value));

    if (copy == NULL)
        elog(ERROR, "out of memory");
    memcpy(copy, value, VARSIZE(value));
    kept = PointerGetDatum(copy);
    PG_RETURN_VOID();
}

Datum
kept_jsonb(PG_FUNCTION_ARGS)
{
    if (kept == (Datum) 0)
        PG_RETURN_NULL();
    PG_RETURN_DATUM(kept);
}

/* A public key that is kept for the backend's life. */
static EC_KEY *key = NULL;

/* Takes the key as an uncompressed point of P-256 (SEC 1, section 2.3.3). */
Datum
keep_key(PG_FUNCTION_ARGS)
{
    bytea *point = PG_GETARG_BYTEA_PP(0);
    const uint8_t *bytes = (const uint8_t *) VARDATA_ANY(point);

    key = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    if (key == NULL || o2i_ECPublicKey(&key, &bytes, VARSIZE_ANY_EXHDR(point)) == NULL)
        elog(ERROR, "that is no point of P-256");
    PG_RETURN_VOID();
}

/* What a character of base64url stands for (RFC 4648, section 5). */
static uint32
base64url(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : 63;
}

/* Checks the ES256 signature of a token, and nothing else of it, and returns what kept_jsonb does. */
Datum
check_signature(PG_FUNCTION_ARGS)
{
    text *token = PG_GETARG_TEXT_PP(0);
    /* The signature has 64 bytes, of which the last stands in two characters with four bits to spare. */
    const int encoded_length = 86;
    const int signed_length = VARSIZE_ANY_EXHDR(token) - encoded_length - 1;
    const char *signed_text = VARDATA_ANY(token);
    const char *encoded = signed_text + signed_length + 1;
    uint8_t r_and_s[66];
    uint8_t digest[SHA256_DIGEST_LENGTH];
    ECDSA_SIG *signature = ECDSA_SIG_new();

    if (key == NULL || signature == NULL || signed_length < 0)
        elog(ERROR, "there is no key, or that is no token");
    for (int from = 0, to = 0; from < encoded_length; from += 4, to += 3)
    {
        uint32 bits = 0;

        for (int i = from; i < from + 4; i++)
            bits = bits << 6 | (i < encoded_length ? base64url(encoded[i]) : 0);
        r_and_s[to] = bits >> 16;
        r_and_s[to + 1] = bits >> 8;
        r_and_s[to + 2] = bits;
    }
    SHA256((const uint8_t *) signed_text, signed_length, digest);
    if (ECDSA_SIG_set0(signature, BN_bin2bn(r_and_s, 32, NULL), BN_bin2bn(r_and_s + 32, 32, NULL)) != 1 ||
        ECDSA_do_verify(digest, sizeof(digest), signature, key) != 1)
        elog(ERROR, "the signature is not of this key");
    ECDSA_SIG_free(signature);
    return kept_jsonb(fcinfo);
}

void _PG_init(void);
void
_PG_init(void)
{
    SET_VARSIZE(&role, VARHDRSZ + sizeof(role.content));
    SET_VARSIZE(&object, sizeof(object));
}
