/* Heads of HTTP/1.1 messages: plain ones read in one pass, and answers put together in one allocation.
 *
 * A head is plain when it holds no surprise: HTTP/1.1, a method and a target as everybody sends them, a length or no body.
 * Whatever is not plain (a coding, an upgrade, an expectation, a connection that closes, a repeated field, a character that is
 * not allowed, a head that has not come whole) gives None, and is for the parser and for `core.wire.head` to judge from its
 * first byte. What is taken here they take too, and read alike; tests hold the two against each other.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define MAX_TARGET 8192
#define MAX_NAME 256
#define MAX_FIELDS 100
#define MAX_DIGITS 18

/* What a field means to the framing of a message. */
enum {
    PLAIN = 0,
    LENGTH = 1,     /* its value is kept */
    HOST = 2,
    KEEP = 4,       /* plain only as keep-alive */
    SURPRISE = 8,   /* never plain */
    ASKED_ONCE = 16 /* plain only once in a request (RFC 9110 section 5.3) */
};

typedef struct {
    const char *name;
    int what;
    PyObject *bytes;
    Py_ssize_t size;
} Known;

static Known known[] = {
    {"host", HOST | ASKED_ONCE}, {"content-length", LENGTH | ASKED_ONCE}, {"content-type", ASKED_ONCE}, {"connection", KEEP},
    {"transfer-encoding", SURPRISE}, {"upgrade", SURPRISE}, {"expect", SURPRISE}, {"proxy-connection", SURPRISE},
    {"trailer", SURPRISE}, {"te", PLAIN}, {"origin", ASKED_ONCE}, {"x-request-id", ASKED_ONCE}, {"accept", PLAIN},
    {"accept-encoding", PLAIN}, {"accept-language", PLAIN}, {"authorization", PLAIN}, {"cache-control", PLAIN},
    {"cookie", PLAIN}, {"date", PLAIN}, {"etag", PLAIN}, {"if-match", PLAIN}, {"if-modified-since", PLAIN},
    {"if-none-match", PLAIN}, {"last-modified", PLAIN}, {"location", PLAIN}, {"pragma", PLAIN}, {"range", PLAIN},
    {"referer", PLAIN}, {"retry-after", PLAIN}, {"server", PLAIN}, {"set-cookie", PLAIN}, {"user-agent", PLAIN},
    {"vary", PLAIN}, {"via", PLAIN}, {"x-api-key", PLAIN}, {"x-context-length", PLAIN}, {"x-task-type", PLAIN},
    {"x-forwarded-for", PLAIN}, {"x-forwarded-host", PLAIN}, {"x-forwarded-proto", PLAIN}, {"x-real-ip", PLAIN},
    {"x-stainless-arch", PLAIN}, {"x-stainless-async", PLAIN}, {"x-stainless-lang", PLAIN}, {"x-stainless-os", PLAIN},
    {"x-stainless-package-version", PLAIN}, {"x-stainless-read-timeout", PLAIN}, {"x-stainless-retry-count", PLAIN},
    {"x-stainless-runtime", PLAIN}, {"x-stainless-runtime-version", PLAIN}, {"sec-fetch-dest", PLAIN},
    {"sec-fetch-mode", PLAIN}, {"sec-fetch-site", PLAIN}, {"traceparent", PLAIN}, {"tracestate", PLAIN}, {"age", PLAIN},
    {"expires", PLAIN}, {"content-encoding", PLAIN}, {"content-language", PLAIN}, {"x-synthetic-quotas", PLAIN},
    {"strict-transport-security", PLAIN}, {"x-content-type-options", PLAIN}, {"alt-svc", PLAIN}, {"cf-ray", PLAIN},
};
#define KNOWN ((int)(sizeof known / sizeof known[0]))

static const struct {
    const char *name;
    int size;
} methods[] = {{"GET", 3}, {"POST", 4}, {"PUT", 3}, {"HEAD", 4}, {"PATCH", 5}, {"DELETE", 6}, {"OPTIONS", 7}};
#define METHODS ((int)(sizeof methods / sizeof methods[0]))

static PyObject *method_names[METHODS];
static unsigned char low[256];     /* RFC 9110 section 5.6.2: characters of a token in lower case; 0 is none, or an underscore */
static unsigned char in_value[256]; /* section 5.5: characters of a field value */
static unsigned char in_target[256];
static unsigned char slots[256]; /* 1 + index into `known` */

static unsigned slot(const unsigned char *name, Py_ssize_t size)
{
    return (unsigned)(size * 37 + name[0] * 5 + name[size - 1] * 11 + name[size >> 1] * 3) & 255;
}

static Known *look_up(const unsigned char *name, Py_ssize_t size)
{
    unsigned at = slot(name, size);
    while (slots[at]) {
        Known *found = &known[slots[at] - 1];
        if (found->size == size && memcmp(found->name, name, (size_t)size) == 0)
            return found;
        at = (at + 1) & 255;
    }
    return NULL;
}

/* Whether all are characters of a field value: eight at a time, unless one may be a control character or DEL. */
static int is_value(const unsigned char *p, Py_ssize_t size)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = UINT64_C(0x8080808080808080);
    for (; size >= 8; p += 8, size -= 8) {
        uint64_t w, del;
        memcpy(&w, p, 8);
        del = w ^ (ones * 0x7f);
        if ((((w - ones * 0x20) & ~w) | ((del - ones) & ~del)) & high)
            for (int i = 0; i < 8; i++)
                if (!in_value[p[i]])
                    return 0;
    }
    for (; size; p++, size--)
        if (!in_value[*p])
            return 0;
    return 1;
}

static int is_keep_alive(const unsigned char *p, Py_ssize_t size)
{
    static const char keep[] = "keep-alive";
    if (size != (Py_ssize_t)sizeof keep - 1)
        return 0;
    for (Py_ssize_t i = 0; i < size; i++)
        if (low[p[i]] != (unsigned char)keep[i])
            return 0;
    return 1;
}

/* RFC 9110 section 8.6: Content-Length = 1*DIGIT. -1: not one that is plain. */
static long long number(const unsigned char *p, Py_ssize_t size)
{
    long long value = 0;
    if (size < 1 || size > MAX_DIGITS)
        return -1;
    for (Py_ssize_t i = 0; i < size; i++) {
        if (p[i] < '0' || p[i] > '9')
            return -1;
        value = value * 10 + (p[i] - '0');
    }
    return value;
}

/* The end of the line that begins at `p`, which is where its CR stands; NULL where there is none before `end`. */
static const unsigned char *line_end(const unsigned char *p, const unsigned char *end)
{
    const unsigned char *feed = memchr(p, '\n', (size_t)(end - p));
    return feed == NULL || feed == p || feed[-1] != '\r' ? NULL : feed - 1;
}

typedef struct {
    PyObject *fields, *first, *host;
    long long length;
    const unsigned char *end; /* of the head */
} Fields;

static void drop(Fields *to)
{
    Py_CLEAR(to->fields);
    Py_CLEAR(to->first);
}

/* Adds one field. 1: it is plain; 0: it is not; -1: an exception. */
static int add(Fields *to, const unsigned char *p, const unsigned char *end, int asked, uint64_t *seen)
{
    unsigned char lower[MAX_NAME];
    const unsigned char *colon = p;
    for (; colon < end && low[*colon]; colon++) {
        if (colon - p == MAX_NAME)
            return 0;
        lower[colon - p] = low[*colon];
    }
    if (colon == p || colon == end || *colon != ':')
        return 0;
    Py_ssize_t size = colon - p;
    for (p = colon + 1; p < end && (*p == ' ' || *p == '\t');)
        p++;
    if (p < end && (end[-1] == ' ' || end[-1] == '\t'))
        return 0; /* whether white space behind a value belongs to it is the parser's to say */
    if (!is_value(p, end - p))
        return 0;

    Known *is = look_up(lower, size);
    PyObject *name, *value;
    if (is != NULL) {
        if (is->what) {
            if (is->what & SURPRISE || (is->what & KEEP && !is_keep_alive(p, end - p)))
                return 0;
            uint64_t bit = UINT64_C(1) << (is - known); /* what means something is among the first 64 */
            if (*seen & bit && (is->what & (LENGTH | KEEP) || (asked && is->what & ASKED_ONCE)))
                return 0;
            *seen |= bit;
            if (is->what & LENGTH && (to->length = number(p, end - p)) < 0)
                return 0;
        }
        name = Py_NewRef(is->bytes);
    }
    else if ((name = PyBytes_FromStringAndSize((const char *)lower, size)) == NULL)
        return -1;
    if ((value = PyBytes_FromStringAndSize((const char *)p, end - p)) == NULL) {
        Py_DECREF(name);
        return -1;
    }
    if (is != NULL && is->what & HOST)
        to->host = value; /* lives in `first` */
    PyObject *pair = PyTuple_Pack(2, name, value);
    int failed = pair == NULL || PyList_Append(to->fields, pair) < 0 || PyDict_SetItem(to->first, name, value) < 0;
    Py_XDECREF(pair);
    Py_DECREF(name);
    Py_DECREF(value);
    return failed ? -1 : 1;
}

/* Reads the lines from `p` to the empty one. 1, 0 or -1, as `add`. */
static int read_fields(Fields *to, const unsigned char *p, const unsigned char *end, int asked)
{
    uint64_t seen = 0;
    int count = 0;
    to->host = NULL;
    to->length = -1;
    to->first = NULL;
    if ((to->fields = PyList_New(0)) == NULL || (to->first = PyDict_New()) == NULL) {
        drop(to);
        return -1;
    }
    for (;;) {
        const unsigned char *stop;
        int added = 0;
        if (end - p >= 2 && p[0] == '\r' && p[1] == '\n') {
            to->end = p + 2;
            return 1;
        }
        stop = line_end(p, end);
        if (stop == NULL || ++count > MAX_FIELDS || (added = add(to, p, stop, asked, &seen)) != 1) {
            drop(to);
            return added;
        }
        p = stop + 2;
    }
}

static int take_arguments(PyObject *const *args, Py_ssize_t count, const unsigned char **p, const unsigned char **end)
{
    if (count != 2 || !PyBytes_Check(args[0]) || !PyLong_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "bytes and the largest size of a head are needed");
        return -1;
    }
    Py_ssize_t most = PyLong_AsSsize_t(args[1]);
    if (most == -1 && PyErr_Occurred())
        return -1;
    Py_ssize_t size = PyBytes_GET_SIZE(args[0]);
    *p = (const unsigned char *)PyBytes_AS_STRING(args[0]);
    *end = *p + (size < most ? size : most);
    return 0;
}

/* A tuple that takes over `items`; NULL, with all of them given up, where one could not be made. */
static PyObject *tuple_of(PyObject **items, int count)
{
    PyObject *made = PyTuple_New(count);
    int whole = made != NULL;
    for (int i = 0; i < count; i++)
        whole = whole && items[i] != NULL;
    for (int i = 0; i < count; i++)
        if (whole)
            PyTuple_SET_ITEM(made, i, items[i]);
        else
            Py_XDECREF(items[i]);
    if (!whole)
        Py_CLEAR(made);
    return made;
}

static PyObject *request(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    const unsigned char *start, *p, *end, *stop, *target;
    Fields read;
    int method = 0;
    if (take_arguments(args, count, &start, &end) < 0)
        return NULL;
    p = start;
    if ((stop = line_end(p, end)) == NULL)
        Py_RETURN_NONE;
    for (;; method++) {
        if (method == METHODS)
            Py_RETURN_NONE;
        if (stop - p > methods[method].size && p[methods[method].size] == ' ' &&
            memcmp(p, methods[method].name, (size_t)methods[method].size) == 0)
            break;
    }
    target = p += methods[method].size + 1;
    if (*p != '/')
        Py_RETURN_NONE;
    while (in_target[*p])
        p++;
    if (p - target > MAX_TARGET || stop - p != 9 || memcmp(p, " HTTP/1.1", 9) != 0)
        Py_RETURN_NONE;
    int plain = read_fields(&read, stop + 2, end, 1);
    if (plain != 1) {
        if (plain < 0)
            return NULL;
        Py_RETURN_NONE;
    }
    if (read.host == NULL) {
        drop(&read);
        Py_RETURN_NONE;
    }
    PyObject *items[] = {PyLong_FromSsize_t(read.end - start), Py_NewRef(method_names[method]),
                         PyUnicode_DecodeASCII((const char *)target, p - target, NULL), Py_NewRef(read.host), read.fields,
                         read.first, PyLong_FromLongLong(read.length < 0 ? 0 : read.length)};
    return tuple_of(items, 7);
}

static PyObject *response(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    const unsigned char *p, *end, *stop;
    Fields read;
    if (take_arguments(args, count, &p, &end) < 0)
        return NULL;
    if ((stop = line_end(p, end)) == NULL || stop - p < 13 || memcmp(p, "HTTP/1.1 ", 9) != 0 || p[9] < '2' || p[9] > '5' ||
        p[10] < '0' || p[10] > '9' || p[11] < '0' || p[11] > '9' || p[12] != ' ' || !is_value(p + 13, stop - p - 13))
        Py_RETURN_NONE;
    int status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    if (status == 204 || status == 304)
        Py_RETURN_NONE; /* RFC 9112 section 6.3, rule 1: no body, whatever its fields say */
    int plain = read_fields(&read, stop + 2, end, 0);
    if (plain != 1) {
        if (plain < 0)
            return NULL;
        Py_RETURN_NONE;
    }
    if (read.length < 0) {
        drop(&read);
        Py_RETURN_NONE;
    }
    PyObject *items[] = {PyLong_FromSsize_t(read.end - p), PyLong_FromLong(status), read.fields, read.first,
                         PyLong_FromLongLong(read.length)};
    return tuple_of(items, 5);
}

static char *put(char *at, PyObject *bytes)
{
    Py_ssize_t size = PyBytes_GET_SIZE(bytes);
    memcpy(at, PyBytes_AS_STRING(bytes), (size_t)size);
    return at + size;
}

/* What the server itself says of an answer, in place of a handler's own words. */
static int is_ours(PyObject *name)
{
    Py_ssize_t size = PyBytes_GET_SIZE(name);
    const char *text = PyBytes_AS_STRING(name);
    switch (size) {
    case 4:
        return memcmp(text, "date", 4) == 0 ? 2 : 0;
    case 10:
        return memcmp(text, "connection", 10) == 0;
    case 14:
        return memcmp(text, "content-length", 14) == 0;
    case 17:
        return memcmp(text, "transfer-encoding", 17) == 0;
    }
    return 0;
}

/* answer(status line, fields, date line, notes, framing lines, content) */
static PyObject *answer(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 6 || !PyBytes_Check(args[0]) || !PyList_Check(args[1]) || !PyBytes_Check(args[2]) || !PyUnicode_Check(args[3]) ||
        !PyBytes_Check(args[4]) || !PyBytes_Check(args[5])) {
        PyErr_SetString(PyExc_TypeError, "a status line, fields, a date line, notes, framing lines and content are needed");
        return NULL;
    }
    PyObject *fields = args[1], *notes = args[3], *latin = NULL;
    Py_ssize_t size = PyBytes_GET_SIZE(args[0]) + PyBytes_GET_SIZE(args[4]) + 2 + PyBytes_GET_SIZE(args[5]);
    Py_ssize_t length = PyList_GET_SIZE(fields);
    int dated = 0;
    for (Py_ssize_t i = 0; i < length; i++) {
        PyObject *pair = PyList_GET_ITEM(fields, i);
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2 || !PyBytes_Check(PyTuple_GET_ITEM(pair, 0)) ||
            !PyBytes_Check(PyTuple_GET_ITEM(pair, 1))) {
            PyErr_SetString(PyExc_TypeError, "a field is a pair of bytes");
            return NULL;
        }
        int ours = is_ours(PyTuple_GET_ITEM(pair, 0));
        dated |= ours == 2;
        if (ours != 1)
            size += PyBytes_GET_SIZE(PyTuple_GET_ITEM(pair, 0)) + PyBytes_GET_SIZE(PyTuple_GET_ITEM(pair, 1)) + 4;
    }
    if (!dated)
        size += PyBytes_GET_SIZE(args[2]);
    if (PyUnicode_GET_LENGTH(notes)) {
        if ((latin = PyUnicode_AsLatin1String(notes)) == NULL)
            return NULL;
        size += PyBytes_GET_SIZE(latin);
    }
    PyObject *whole = PyBytes_FromStringAndSize(NULL, size);
    if (whole != NULL) {
        char *at = put(PyBytes_AS_STRING(whole), args[0]);
        for (Py_ssize_t i = 0; i < length; i++) {
            PyObject *pair = PyList_GET_ITEM(fields, i);
            if (is_ours(PyTuple_GET_ITEM(pair, 0)) == 1)
                continue;
            at = put(at, PyTuple_GET_ITEM(pair, 0));
            *at++ = ':';
            *at++ = ' ';
            at = put(at, PyTuple_GET_ITEM(pair, 1));
            *at++ = '\r';
            *at++ = '\n';
        }
        if (!dated)
            at = put(at, args[2]);
        if (latin != NULL)
            at = put(at, latin);
        at = put(at, args[4]);
        *at++ = '\r';
        *at++ = '\n';
        put(at, args[5]);
    }
    Py_XDECREF(latin);
    return whole;
}

static int fill(void)
{
    for (int c = 0; c < 256; c++) {
        in_value[c] = c == '\t' || (c >= 0x20 && c != 0x7f);
        in_target[c] = c > 0x20 && c < 0x7f && c != '#';
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("!#$%&'*+-.^`|~", c) != NULL))
            low[c] = (unsigned char)c;
        else if (c >= 'A' && c <= 'Z')
            low[c] = (unsigned char)(c - 'A' + 'a');
    }
    for (int i = 0; i < METHODS; i++)
        if ((method_names[i] = PyUnicode_InternFromString(methods[i].name)) == NULL)
            return -1;
    for (int i = 0; i < KNOWN; i++) {
        known[i].size = (Py_ssize_t)strlen(known[i].name);
        if ((known[i].bytes = PyBytes_FromStringAndSize(known[i].name, known[i].size)) == NULL)
            return -1;
        unsigned at = slot((const unsigned char *)known[i].name, known[i].size);
        while (slots[at])
            at = (at + 1) & 255;
        slots[at] = (unsigned char)(i + 1);
    }
    return 0;
}

static PyMethodDef functions[] = {
    {"request", (PyCFunction)(void (*)(void))request, METH_FASTCALL, NULL},
    {"response", (PyCFunction)(void (*)(void))response, METH_FASTCALL, NULL},
    {"answer", (PyCFunction)(void (*)(void))answer, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "wws._wire", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__wire(void)
{
    return fill() < 0 ? NULL : PyModule_Create(&module);
}
