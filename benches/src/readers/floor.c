/*
 * Functions that do nothing, written as Postgres's own are: what no function of their result type can be cheaper than. And one that
 * does nothing but check a signature: what nobody can be cheaper than who does not know the token.
 * The benchmarks compile this file when they start.
 */
#include "postgres.h"

/* AWS-LC's, the library that the extension checks signatures with. */
#include <openssl/evp.h>
#include <openssl/nid.h>

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

/* A key of our own, and a signature by it. */
static EVP_PKEY *key = NULL;
static unsigned char signature[80];
static size_t signature_length = sizeof(signature);

static void
make_key(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *generator = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);

    if (context == NULL || generator == NULL || EVP_PKEY_keygen_init(generator) != 1 ||
        EVP_PKEY_CTX_set_ec_paramgen_curve_nid(generator, NID_X9_62_prime256v1) != 1 ||
        EVP_PKEY_keygen(generator, &key) != 1 || EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(context, signature, &signature_length, (const unsigned char *) "", 0) != 1)
        elog(ERROR, "no key could be made");
    EVP_PKEY_CTX_free(generator);
    EVP_MD_CTX_free(context);
}

/* Checks an ES256 signature over a text, and returns what kept_jsonb does. It is another text's: to find that out takes as long. */
Datum
check_signature(PG_FUNCTION_ARGS)
{
    text *signed_text = PG_GETARG_TEXT_PP(0);
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (key == NULL)
        make_key();
    if (context == NULL || EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestVerify(context, signature, signature_length, (const unsigned char *) VARDATA_ANY(signed_text),
                         VARSIZE_ANY_EXHDR(signed_text)) != 0)
        elog(ERROR, "the signature was not checked");
    EVP_MD_CTX_free(context);
    return kept_jsonb(fcinfo);
}

void _PG_init(void);
void
_PG_init(void)
{
    SET_VARSIZE(&role, VARHDRSZ + sizeof(role.content));
    SET_VARSIZE(&object, sizeof(object));
}
