#include "http/tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>

/* An SSL_CTX under another name, so that nobody else has to know OpenSSL. */
static SSL_CTX *context_of(struct tls_server *s)
{
    return (SSL_CTX *)(void *)s;
}

struct tls {
    SSL *ssl;
    bool broken; /* there is nothing more to say */
};

/* The first certificate is the server's, those behind it lead to its root. */
static bool use_certificates(SSL_CTX *context, const char *text)
{
    BIO *in = BIO_new_mem_buf(text, -1);
    X509 *own = in ? PEM_read_bio_X509_AUX(in, NULL, NULL, NULL) : NULL, *above = NULL;
    bool ok = own && SSL_CTX_use_certificate(context, own) == 1;
    X509_free(own);
    while (ok && (above = PEM_read_bio_X509(in, NULL, NULL, NULL))) {
        ok = SSL_CTX_add0_chain_cert(context, above) == 1;
        if (!ok)
            X509_free(above);
    }
    BIO_free(in);
    ERR_clear_error(); /* the text's end is told as an error */
    return ok;
}

/* Nobody is there to be asked for a passphrase. */
static int no_passphrase(char *out, int size, int writing, void *context)
{
    (void)out, (void)size, (void)writing, (void)context;
    return -1;
}

static bool use_key(SSL_CTX *context, const char *text)
{
    BIO *in = BIO_new_mem_buf(text, -1);
    EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL) : NULL;
    bool ok =
        key && SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1;
    EVP_PKEY_free(key);
    BIO_free(in);
    ERR_clear_error();
    return ok;
}

bool tls_server_new(const char *cert, const char *key, const char *path, struct tls_server **out,
                    struct err *err)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        return err_set(err, ERR_INTERNAL, "TLS does not start");
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* What could not be sent is sent again from wherever it lies then. */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    if (!use_certificates(context, cert) || !use_key(context, key)) {
        SSL_CTX_free(context);
        return err_set(err, ERR_INVALID, "the TLS certificate %s or its key cannot be used", path);
    }
    *out = (struct tls_server *)(void *)context;
    return true;
}

void tls_server_free(struct tls_server *s)
{
    if (s)
        SSL_CTX_free(context_of(s));
}

struct tls *tls_new(struct tls_server *server, int fd)
{
    struct tls *t = xcalloc(1, sizeof *t);
    t->ssl = SSL_new(context_of(server));
    if (!t->ssl || SSL_set_fd(t->ssl, fd) != 1) {
        tls_free(t);
        return NULL;
    }
    SSL_set_accept_state(t->ssl);
    return t;
}

/* What came of a call, in recv's and send's words. */
static ssize_t outcome(struct tls *t, int result)
{
    if (result > 0)
        return result;
    int error = SSL_get_error(t->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        errno = EAGAIN;
        return -1;
    }
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    t->broken = true;
    errno = ECONNRESET;
    return -1;
}

static int within_int(size_t len)
{
    return len > INT_MAX ? INT_MAX : (int)len;
}

ssize_t tls_recv(struct tls *t, void *to, size_t room)
{
    ERR_clear_error();
    return outcome(t, SSL_read(t->ssl, to, within_int(room)));
}

ssize_t tls_send(struct tls *t, const void *from, size_t len)
{
    if (len == 0)
        return 0;
    ERR_clear_error();
    ssize_t sent = outcome(t, SSL_write(t->ssl, from, within_int(len)));
    if (sent == 0)
        errno = ECONNRESET;
    return sent == 0 ? -1 : sent;
}

void tls_break(struct tls *t)
{
    t->broken = true;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    ERR_clear_error();
    if (t->ssl && !t->broken && SSL_is_init_finished(t->ssl))
        SSL_shutdown(t->ssl);
    SSL_free(t->ssl);
    ERR_clear_error();
    free(t);
}
