/* JSON of the usual kind, read in one pass: the members of a request's object, and what an answer says of itself.
 *
 * Whatever is not of the usual kind (no object, a name with an escape, a number that may be out of range, half a character,
 * anything that is no JSON) gives None, and is for `wws.codec` and for `wws.core` to read from its first byte. What is taken
 * here they take too, and read alike; tests hold the two against each other.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define MOST_LEVELS 512
#define LARGE 4096 /* bytes of a value from which a view of it costs less than a copy */
#define MOST_DIGITS 200 /* of one run in a number: far from what a double or `int` cannot hold */
#define COUNT_DIGITS 15
#define NEAR 1024 /* as in wws.core.wire.usage and wws.providers.verdict */
#define MAX_MODEL 200

typedef const unsigned char *Text;

static unsigned char blank[256], plain[256], decimal[256], hex[256]; /* `plain`: stands for itself in a string, and is ASCII */

/* Names that requests have: their texts are made once. */
static const char *const usual[] = {
    "model", "messages", "stream", "temperature", "max_tokens", "max_completion_tokens", "top_p", "tools", "tool_choice",
    "stream_options", "response_format", "stop", "user", "n", "seed", "task", "context", "prompt", "system", "input",
    "metadata", "reasoning_effort", "parallel_tool_calls", "presence_penalty", "frequency_penalty", "encoding_format",
};
#define USUAL ((int)(sizeof usual / sizeof usual[0]))
static PyObject *usual_names[USUAL];
static Py_ssize_t usual_sizes[USUAL];

static Text after_blanks(Text p, Text end)
{
    while (p < end && blank[*p])
        p++;
    return p;
}

/* The end of the run of plain characters at p, sixteen at a time where the processor can. */
static Text after_plain(Text p, Text end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), escape = _mm_set1_epi8('\\'), space = _mm_set1_epi8(0x20);
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)p);
        /* as signed numbers those that are not ASCII are below the space as well */
        __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, escape)), _mm_cmplt_epi8(v, space));
        int mask = _mm_movemask_epi8(hit);
        if (mask)
            return p + __builtin_ctz((unsigned)mask);
    }
#else
    const uint64_t ones = UINT64_C(0x0101010101010101), high = UINT64_C(0x8080808080808080);
    for (; end - p >= 8; p += 8) {
        uint64_t w, quote, escape;
        memcpy(&w, p, 8);
        quote = w ^ (ones * '"');
        escape = w ^ (ones * '\\');
        if ((w | (w - ones * 0x20) | (quote - ones) | (escape - ones)) & high)
            break;
    }
#endif
    while (p < end && plain[*p])
        p++;
    return p;
}

/* The end of one character that is not ASCII (RFC 3629 section 4); NULL: it is none. */
static Text after_character(Text p, Text end)
{
    unsigned first = *p, low = 0x80, high = 0xBF;
    int more;
    if (first >= 0xC2 && first <= 0xDF) {
        more = 1;
    } else if (first >= 0xE0 && first <= 0xEF) {
        more = 2;
        if (first == 0xE0)
            low = 0xA0;
        else if (first == 0xED)
            high = 0x9F; /* surrogates */
    } else if (first >= 0xF0 && first <= 0xF4) {
        more = 3;
        if (first == 0xF0)
            low = 0x90;
        else if (first == 0xF4)
            high = 0x8F;
    } else {
        return NULL;
    }
    if (end - p <= more || p[1] < low || p[1] > high)
        return NULL;
    for (int i = 2; i <= more; i++)
        if (p[i] < 0x80 || p[i] > 0xBF)
            return NULL;
    return p + more + 1;
}

static int is_unit(Text p, Text end) /* \uXXXX */
{
    return end - p >= 6 && p[0] == '\\' && p[1] == 'u' && hex[p[2]] && hex[p[3]] && hex[p[4]] && hex[p[5]];
}

/* What the second decimal of a surrogate says: 1 a high one, 2 a low one, 0 none. */
static int surrogate(Text p)
{
    if ((p[2] | 0x20) != 'd' || p[3] < '8')
        return 0;
    if (p[3] <= '9')
        return 1;
    return (p[3] | 0x20) <= 'b' ? 1 : 2;
}

static Text after_escape(Text p, Text end)
{
    if (end - p < 2)
        return NULL;
    switch (p[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return p + 2;
    case 'u':
        break;
    default:
        return NULL;
    }
    if (!is_unit(p, end))
        return NULL;
    switch (surrogate(p)) {
    case 0:
        return p + 6;
    case 1:
        return is_unit(p + 6, end) && surrogate(p + 6) == 2 ? p + 12 : NULL;
    default:
        return NULL; /* RFC 8259 section 8.2: half a character */
    }
}

/* The end of the string whose first character, behind the quote, is at p: behind its last quote. */
static Text after_string(Text p, Text end)
{
    for (;;) {
        p = after_plain(p, end);
        if (p >= end)
            return NULL;
        if (*p == '"')
            return p + 1;
        if (*p == '\\')
            p = after_escape(p, end);
        else if (*p >= 0x80)
            p = after_character(p, end);
        else
            return NULL;
        if (p == NULL)
            return NULL;
    }
}

static Text after_digits(Text p, Text end, int most)
{
    Text start = p;
    while (p < end && decimal[*p])
        p++;
    return p == start || p - start > most ? NULL : p;
}

static Text after_number(Text p, Text end)
{
    if (*p == '-')
        p++;
    if (p >= end || !decimal[*p])
        return NULL;
    if (*p == '0')
        p++;
    else if ((p = after_digits(p, end, MOST_DIGITS)) == NULL)
        return NULL;
    if (p < end && *p == '.' && (p = after_digits(p + 1, end, MOST_DIGITS)) == NULL)
        return NULL;
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        p = after_digits(p, end, 2);
    }
    return p;
}

static Text after_word(Text p, Text end, const char *word, Py_ssize_t size)
{
    return end - p >= size && memcmp(p, word, (size_t)size) == 0 ? p + size : NULL;
}

static Text after_scalar(Text p, Text end)
{
    switch (*p) {
    case '"':
        return after_string(p + 1, end);
    case 't':
        return after_word(p, end, "true", 4);
    case 'f':
        return after_word(p, end, "false", 5);
    case 'n':
        return after_word(p, end, "null", 4);
    default:
        return after_number(p, end);
    }
}

/* Behind a member's name and its colon, at the value. */
static Text after_name(Text p, Text end)
{
    if (p >= end || *p != '"' || (p = after_string(p + 1, end)) == NULL)
        return NULL;
    p = after_blanks(p, end);
    return p < end && *p == ':' ? after_blanks(p + 1, end) : NULL;
}

/* The end of the value at p, which may hold `levels` more of arrays and objects; NULL: not usual. */
static Text after_value(Text p, Text end, int levels)
{
    unsigned char object[MOST_LEVELS];
    int depth = 0;
    for (;;) { /* at a value */
        if (p >= end)
            return NULL;
        if (*p == '{' || *p == '[') {
            int braces = *p == '{';
            if (depth >= levels)
                return NULL;
            p = after_blanks(p + 1, end);
            if (p >= end)
                return NULL;
            if (*p != (braces ? '}' : ']')) {
                object[depth++] = (unsigned char)braces;
                if (braces && (p = after_name(p, end)) == NULL)
                    return NULL;
                continue;
            }
            p++;
        } else if ((p = after_scalar(p, end)) == NULL) {
            return NULL;
        }
        for (;;) { /* behind a value */
            if (depth == 0)
                return p;
            p = after_blanks(p, end);
            if (p >= end)
                return NULL;
            if (*p == ',') {
                p = after_blanks(p + 1, end);
                if (object[depth - 1] && (p = after_name(p, end)) == NULL)
                    return NULL;
                break;
            }
            if (*p != (object[depth - 1] ? '}' : ']'))
                return NULL;
            p++;
            depth--;
        }
    }
}

/* The name between p and its quote; NULL without an exception: there is an escape in it. */
static PyObject *name_of(Text p, Py_ssize_t size)
{
    if (memchr(p, '\\', (size_t)size) != NULL)
        return NULL;
    for (int i = 0; i < USUAL; i++)
        if (usual_sizes[i] == size && memcmp(usual[i], p, (size_t)size) == 0)
            return Py_NewRef(usual_names[i]);
    return PyUnicode_DecodeUTF8((const char *)p, size, NULL);
}

/* The value from p on: its bytes, or a view of them where `whole` has so many. */
static PyObject *value_of(PyObject *whole, Text p, Py_ssize_t size)
{
    if (size < LARGE)
        return PyBytes_FromStringAndSize((const char *)p, size);
    Py_ssize_t start = p - (Text)PyBytes_AS_STRING(whole);
    PyObject *view = PyMemoryView_FromObject(whole);
    PyObject *part = view == NULL ? NULL : PySequence_GetSlice(view, start, start + size);
    Py_XDECREF(view);
    return part;
}

/* 1: all members are in `found`; 0: not usual; -1: an exception. */
static int collect(PyObject *found, PyObject *whole, int levels)
{
    Text p = (Text)PyBytes_AS_STRING(whole), end = p + PyBytes_GET_SIZE(whole);
    p = after_blanks(p, end);
    if (p >= end || *p != '{')
        return 0;
    p = after_blanks(p + 1, end);
    if (p < end && *p == '}')
        return after_blanks(p + 1, end) == end;
    for (;;) {
        PyObject *name, *value;
        Text first = p + 1, last, start;
        int failed;
        if (p >= end || *p != '"' || (last = after_string(first, end)) == NULL)
            return 0;
        p = after_blanks(last, end);
        if (p >= end || *p != ':')
            return 0;
        start = after_blanks(p + 1, end);
        if ((p = after_value(start, end, levels)) == NULL)
            return 0;
        if ((name = name_of(first, last - 1 - first)) == NULL)
            return PyErr_Occurred() ? -1 : 0;
        value = value_of(whole, start, p - start);
        failed = value == NULL || PyDict_SetItem(found, name, value) < 0;
        Py_DECREF(name);
        Py_XDECREF(value);
        if (failed)
            return -1;
        p = after_blanks(p, end);
        if (p >= end)
            return 0;
        if (*p == '}')
            return after_blanks(p + 1, end) == end;
        if (*p != ',')
            return 0;
        p = after_blanks(p + 1, end);
    }
}

static PyObject *members(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyLong_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "members(data: bytes, depth: int)");
        return NULL;
    }
    if (!PyBytes_Check(args[0]))
        Py_RETURN_NONE;
    long depth = PyLong_AsLong(args[1]);
    if (depth == -1 && PyErr_Occurred())
        return NULL;
    if (depth < 1)
        Py_RETURN_NONE;
    PyObject *found = PyDict_New();
    if (found == NULL)
        return NULL;
    int taken = collect(found, args[0], depth <= MOST_LEVELS ? (int)depth - 1 : MOST_LEVELS - 1);
    if (taken > 0)
        return found;
    Py_DECREF(found);
    if (taken < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* The bytes of a value as `members` gives it; NULL: it is another. */
static const char *text_of(PyObject *value, Py_ssize_t *size)
{
    if (PyBytes_Check(value)) {
        *size = PyBytes_GET_SIZE(value);
        return PyBytes_AS_STRING(value);
    }
    if (!PyMemoryView_Check(value))
        return NULL;
    const Py_buffer *view = PyMemoryView_GET_BUFFER(value);
    *size = view->len;
    return view->ndim == 1 && PyBuffer_IsContiguous(view, 'C') ? view->buf : NULL;
}

static PyObject *join(PyObject *module, PyObject *given)
{
    if (!PyDict_Check(given)) {
        PyErr_SetString(PyExc_TypeError, "join(members: dict[str, bytes | memoryview])");
        return NULL;
    }
    PyObject *name, *value;
    Py_ssize_t at = 0, size = 2, length;
    while (PyDict_Next(given, &at, &name, &value)) {
        if (!PyUnicode_Check(name) || !PyUnicode_IS_ASCII(name) || text_of(value, &length) == NULL)
            Py_RETURN_NONE;
        Text text = PyUnicode_1BYTE_DATA(name), end = text + PyUnicode_GET_LENGTH(name);
        if (after_plain(text, end) != end)
            Py_RETURN_NONE;
        size += (end - text) + length + 4;
    }
    if (size > 2)
        size--; /* a comma less than members */
    PyObject *joined = PyBytes_FromStringAndSize(NULL, size);
    if (joined == NULL)
        return NULL;
    char *out = PyBytes_AS_STRING(joined);
    *out++ = '{';
    at = 0;
    for (int first = 1; PyDict_Next(given, &at, &name, &value); first = 0) {
        const char *text = text_of(value, &length);
        Py_ssize_t letters = PyUnicode_GET_LENGTH(name);
        if (!first)
            *out++ = ',';
        *out++ = '"';
        memcpy(out, PyUnicode_1BYTE_DATA(name), (size_t)letters);
        out += letters;
        *out++ = '"';
        *out++ = ':';
        memcpy(out, text, (size_t)length);
        out += length;
    }
    *out = '}';
    return joined;
}

#define STARTS(p, end, text) ((end) - (p) >= (Py_ssize_t)sizeof(text) - 1 && memcmp((p), text, sizeof(text) - 1) == 0)

/* wws.providers.verdict.good: p stands at a quote. */
static int is_mark(Text p, Text end)
{
    switch (end - p > 1 ? p[1] : 0) {
    case 'c':
        return STARTS(p, end, "\"choices\":[{") || STARTS(p, end, "\"choices\": [{");
    case 't':
        return STARTS(p, end, "\"type\":\"message\"") || STARTS(p, end, "\"type\": \"message\"");
    case 'o':
        return STARTS(p, end, "\"object\":\"list\"") || STARTS(p, end, "\"object\": \"list\"");
    case 'd':
        return STARTS(p, end, "\"data\":[");
    default:
        return 0;
    }
}

/* The next quote before a letter that a mark, or the error, begins with; `end` where there is none. */
static Text next_mark(Text p, Text end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), c = _mm_set1_epi8('c'), d = _mm_set1_epi8('d'), e = _mm_set1_epi8('e');
    const __m128i o = _mm_set1_epi8('o'), t = _mm_set1_epi8('t');
    for (; end - p >= 17; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)p), next = _mm_loadu_si128((const __m128i *)(p + 1));
        __m128i letter = _mm_or_si128(
            _mm_or_si128(_mm_cmpeq_epi8(next, c), _mm_cmpeq_epi8(next, d)),
            _mm_or_si128(_mm_cmpeq_epi8(next, e), _mm_or_si128(_mm_cmpeq_epi8(next, o), _mm_cmpeq_epi8(next, t))));
        int mask = _mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(v, quote), letter));
        if (mask)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    while (p < end && *p != '"')
        p++;
    return p;
}

static PyObject *good(PyObject *module, PyObject *body)
{
    if (!PyBytes_Check(body))
        Py_RETURN_FALSE; /* others take a closer look */
    Text p = (Text)PyBytes_AS_STRING(body);
    Py_ssize_t size = PyBytes_GET_SIZE(body);
    Text end = p + (size < NEAR ? size : NEAR);
    int marked = 0;
    for (p = next_mark(p, end); p < end; p = next_mark(p + 1, end)) {
        if (STARTS(p, end, "\"error\""))
            Py_RETURN_FALSE;
        if (!marked)
            marked = is_mark(p, end);
    }
    return PyBool_FromLong(marked);
}

typedef struct {
    int openai, anthropic; /* whether a name of theirs is there */
    long long prompt, completion, details, input, output, read, written;
} Counts;

/* Behind the value at p, and its number: 0 for what is no whole one, as for wws.core.wire.usage. NULL: not usual. */
static Text count(Text p, Text end, long long *value)
{
    Text start = p;
    *value = 0;
    if (p >= end)
        return NULL;
    for (; p < end && decimal[*p]; p++)
        if (p - start < COUNT_DIGITS)
            *value = *value * 10 + (*p - '0');
    if (p > start && p < end && (*p == ',' || *p == '}'))
        return p - start > COUNT_DIGITS || (*start == '0' && p - start > 1) ? NULL : p;
    *value = 0;
    return after_scalar(start, end);
}

#define NAMED(text) (size == (Py_ssize_t)sizeof(text) - 1 && memcmp(name, text, sizeof(text) - 1) == 0)

/* The members of a usage object, p behind its brace, or with `cached` those of its details. Without blanks; NULL: not usual. */
static Text after_counts(Text p, Text end, Counts *counts, long long *cached)
{
    if (p < end && *p == '}')
        return p + 1;
    for (;;) {
        long long value = 0;
        if (p >= end || *p != '"')
            return NULL;
        Text name = p + 1;
        p = after_plain(name, end);
        if (end - p < 3 || p[0] != '"' || p[1] != ':')
            return NULL;
        Py_ssize_t size = p - name;
        p += 2;
        if (*p == '{' && cached == NULL) {
            long long inner = 0;
            p = after_counts(p + 1, end, counts, &inner);
            if (NAMED("prompt_tokens_details"))
                counts->details = inner;
            else
                inner = 0;
        } else {
            p = count(p, end, &value);
            if (cached == NULL && NAMED("prompt_tokens_details"))
                counts->details = 0;
        }
        if (p == NULL || p >= end)
            return NULL;
        if (cached != NULL) {
            if (NAMED("cached_tokens"))
                *cached = value;
        } else if (NAMED("prompt_tokens")) {
            counts->prompt = value;
            counts->openai = 1;
        } else if (NAMED("completion_tokens")) {
            counts->completion = value;
            counts->openai = 1;
        } else if (NAMED("input_tokens")) {
            counts->input = value;
            counts->anthropic = 1;
        } else if (NAMED("output_tokens")) {
            counts->output = value;
            counts->anthropic = 1;
        } else if (NAMED("cache_read_input_tokens")) {
            counts->read = value;
        } else if (NAMED("cache_creation_input_tokens")) {
            counts->written = value;
        }
        if (*p == '}')
            return p + 1;
        if (*p++ != ',')
            return NULL;
    }
}

/* The usage of an answer whose last member it is. */
static int usage_of(Text data, Text end, Counts *counts)
{
    static const char mark[] = "\"usage\":{";
    const Py_ssize_t size = sizeof mark - 1;
    Text start = end - data > NEAR ? end - NEAR : data;
    for (Text p = end - size; p >= start; p--)
        if (p[size - 1] == '{' && memcmp(p, mark, (size_t)size) == 0) {
            memset(counts, 0, sizeof *counts);
            p = after_counts(p + size, end, counts, NULL);
            return p != NULL && end - p == 1 && *p == '}' && (counts->openai || counts->anthropic);
        }
    return 0;
}

static PyObject *model_of(Text data, Text end)
{
    static const char mark[] = "\"model\":\"";
    const Py_ssize_t size = sizeof mark - 1;
    Text p = data;
    if (end - data > NEAR)
        end = data + NEAR;
    while ((p = memchr(p, '"', (size_t)(end - p))) != NULL && !(end - p >= size && memcmp(p, mark, (size_t)size) == 0))
        p++;
    if (p == NULL)
        return NULL;
    Text name = p + size;
    p = after_plain(name, end);
    if (p >= end || *p != '"' || p == name || p - name > MAX_MODEL || memchr(name, 0x7f, (size_t)(p - name)) != NULL)
        return NULL;
    PyObject *text = PyUnicode_New(p - name, 127);
    if (text != NULL)
        memcpy(PyUnicode_1BYTE_DATA(text), name, (size_t)(p - name));
    return text;
}

/* A tuple of `kind`, which is a NamedTuple of three. */
static PyObject *three(PyTypeObject *kind, long long a, long long b, long long c)
{
    const long long numbers[] = {a, b, c};
    PyObject *made = kind->tp_alloc(kind, 3);
    for (int i = 0; made != NULL && i < 3; i++) {
        PyObject *number = PyLong_FromLongLong(numbers[i]);
        if (number == NULL)
            Py_CLEAR(made);
        else
            PyTuple_SET_ITEM(made, i, number);
    }
    return made;
}

static PyObject *told(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    if (given != 2 || !PyType_Check(args[1]) || !PyType_IsSubtype((PyTypeObject *)args[1], &PyTuple_Type)) {
        PyErr_SetString(PyExc_TypeError, "told(body: bytes, kind: type[tuple])");
        return NULL;
    }
    if (!PyBytes_Check(args[0]))
        Py_RETURN_NONE;
    Counts c;
    Text data = (Text)PyBytes_AS_STRING(args[0]), end = data + PyBytes_GET_SIZE(args[0]);
    if (!usage_of(data, end, &c))
        Py_RETURN_NONE;
    PyObject *model = model_of(data, end);
    if (model == NULL) {
        if (PyErr_Occurred())
            return NULL;
        Py_RETURN_NONE;
    }
    PyTypeObject *kind = (PyTypeObject *)args[1];
    PyObject *usage = c.anthropic ? three(kind, c.input + c.read + c.written, c.output, c.read)
                                  : three(kind, c.prompt, c.completion, c.details);
    PyObject *both = usage == NULL ? NULL : PyTuple_Pack(2, usage, model);
    Py_XDECREF(usage);
    Py_DECREF(model);
    return both;
}

static PyMethodDef methods[] = {
    {"members", (PyCFunction)(void (*)(void))members, METH_FASTCALL, NULL},
    {"join", join, METH_O, NULL},
    {"good", good, METH_O, NULL},
    {"told", (PyCFunction)(void (*)(void))told, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "wws._json", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__json(void)
{
    for (int c = 0; c < 256; c++) {
        blank[c] = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        plain[c] = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
        decimal[c] = c >= '0' && c <= '9';
        hex[c] = decimal[c] || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    }
    for (int i = 0; i < USUAL; i++) {
        usual_sizes[i] = (Py_ssize_t)strlen(usual[i]);
        if (usual_names[i] == NULL && (usual_names[i] = PyUnicode_InternFromString(usual[i])) == NULL)
            return NULL;
        if (PyObject_Hash(usual_names[i]) == -1)
            return NULL;
    }
    return PyModule_Create(&module);
}
