/* Large JSON texts: judged and cut into their top-level members in one pass, sixteen bytes at a time where the processor can.
 *
 * What is taken here is JSON as RFC 8259 has it and as `wws.codec` takes it; tests hold the two against each other. Whatever
 * is wrong or unusual (another type than an object, an escape in a member's name, a lone surrogate, a number that is long or
 * has an exponent, a text nested too deeply) gives None, and is for the codec to judge from its first byte.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define MAX_DEPTH 512
#define MAX_DIGITS 15 /* a number of so many is exact in a double */

typedef const unsigned char *At;

/* The first byte from `p` that does not stand for itself in a string: a quotation mark, a backslash, a control character, or
 * one that is not ASCII. `end` where there is none. */
static At unusual(At p, At end)
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
        uint64_t w, q, b;
        memcpy(&w, p, 8);
        q = w ^ (ones * '"');
        b = w ^ (ones * '\\');
        if ((w | (w - ones * 0x20) | (q - ones) | (b - ones)) & high)
            break;
    }
#endif
    while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* What follows the character of more than one byte at `p`; NULL where it is not UTF-8 (RFC 3629 section 4). */
static At character(At p, At end)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    int more = *p >= 0xc2 && *p < 0xe0 ? 1 : (*p & 0xf0) == 0xe0 ? 2 : *p >= 0xf0 && *p < 0xf5 ? 3 : 0;
    if (!more || end - p <= more)
        return NULL;
    uint32_t value = *p & (0x3fu >> more);
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return NULL;
        value = value << 6 | (p[i] & 0x3fu);
    }
    return value < least[more] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000) ? NULL : p + more + 1;
}

/* The value of four hexadecimal digits; -1 where they are none. */
static int hexadecimal(At p, At end)
{
    int value = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int c = p[i], low = c | 0x20;
        int digit = c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* What follows the escape whose backslash is at `p`; NULL where it is none, or half of a surrogate pair alone. */
static At escaped(At p, At end)
{
    if (end - p < 2)
        return NULL;
    if (p[1] != 'u')
        return p[1] && strchr("\"\\/bfnrt", p[1]) != NULL ? p + 2 : NULL;
    int unit = hexadecimal(p + 2, end);
    if (unit < 0)
        return NULL;
    if (unit < 0xd800 || unit > 0xdfff)
        return p + 6;
    if (unit > 0xdbff || end - p < 12 || p[6] != '\\' || p[7] != 'u')
        return NULL;
    unit = hexadecimal(p + 8, end);
    return unit >= 0xdc00 && unit <= 0xdfff ? p + 12 : NULL;
}

/* What follows the string whose opening quotation mark is before `p`; NULL where it is not one. `plain` where it has no escapes. */
static At string(At p, At end, int *plain)
{
    *plain = 1;
    for (;;) {
        p = unusual(p, end);
        if (p == end || *p < 0x20)
            return NULL;
        if (*p == '"')
            return p + 1;
        if (*p == '\\') {
            *plain = 0;
            p = escaped(p, end);
        }
        else
            p = character(p, end);
        if (p == NULL)
            return NULL;
    }
}

static At digits(At p, At end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

/* What follows the number, or the word, at `p`; NULL where it is neither, or not a short number. */
static At scalar(At p, At end)
{
    static const char *const words[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++) {
        Py_ssize_t size = (Py_ssize_t)strlen(words[i]);
        if (end - p >= size && memcmp(p, words[i], (size_t)size) == 0)
            return p + size;
    }
    At start = p;
    if (p < end && *p == '-')
        p++;
    At first = p;
    p = digits(p, end);
    if (p == first || (*first == '0' && p - first > 1))
        return NULL;
    if (p < end && *p == '.') {
        At fraction = ++p;
        p = digits(p, end);
        if (p == fraction)
            return NULL;
    }
    return p - start > MAX_DIGITS || (p < end && (*p == 'e' || *p == 'E')) ? NULL : p;
}

static At blank(At p, At end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* Appends a member to `to`: its name from `p` to `stop`, and where its value begins. */
static int open_member(PyObject *to, At p, At stop, At data, At value)
{
    PyObject *name = PyUnicode_DecodeUTF8((const char *)p, stop - p, NULL);
    PyObject *one = name == NULL ? NULL : Py_BuildValue("(Nn)", name, (Py_ssize_t)(value - data));
    int failed = one == NULL || PyList_Append(to, one) < 0;
    Py_XDECREF(one);
    return failed ? -1 : 0;
}

/* Replaces the pair of the last member by a triple, its value ending at `at`. */
static int close_member(PyObject *to, Py_ssize_t at)
{
    Py_ssize_t last = PyList_GET_SIZE(to) - 1;
    PyObject *open = PyList_GET_ITEM(to, last);
    PyObject *whole = Py_BuildValue("(OOn)", PyTuple_GET_ITEM(open, 0), PyTuple_GET_ITEM(open, 1), at);
    return whole == NULL ? -1 : PyList_SetItem(to, last, whole);
}

/* Reads the object that `data` is. 1: it is plain; 0: it is not; -1: an exception.
 *
 * `inside` has, for each array and object that is open, the bracket that closes it.
 */
static int read_members(PyObject *to, At data, At end, Py_ssize_t most)
{
    unsigned char inside[MAX_DEPTH];
    Py_ssize_t depth = 1;
    int plain;
    At p = blank(data, end);
    if (most < 1 || p == end || *p != '{')
        return 0;
    inside[0] = '}';
    p = blank(p + 1, end);
    if (p < end && *p == '}')
        return blank(p + 1, end) == end;
    for (;;) {
        if (p == end)
            return 0;
        if (inside[depth - 1] == '}') { /* a name is due */
            At name = p + 1;
            if (*p != '"' || (p = string(name, end, &plain)) == NULL)
                return 0;
            At stop = p - 1;
            p = blank(p, end);
            if (p == end || *p != ':')
                return 0;
            p = blank(p + 1, end);
            if (depth == 1) {
                if (!plain)
                    return 0;
                if (open_member(to, name, stop, data, p) < 0)
                    return -1;
            }
            if (p == end)
                return 0;
        }
        if (*p == '"')
            p = string(p + 1, end, &plain);
        else if (*p == '{' || *p == '[') {
            if (depth == most || depth == MAX_DEPTH)
                return 0;
            inside[depth++] = (unsigned char)(*p + 2); /* in ASCII the closing brackets are the next but one */
            p = blank(p + 1, end);
            if (p == end || *p != inside[depth - 1])
                continue;
            depth--;
            p++;
        }
        else
            p = scalar(p, end);
        if (p == NULL)
            return 0;
        for (;;) { /* a value has ended */
            if (depth == 1 && close_member(to, p - data) < 0)
                return -1;
            p = blank(p, end);
            if (p == end)
                return 0;
            if (*p == ',')
                break;
            if (*p != inside[depth - 1])
                return 0;
            p++;
            if (--depth == 0)
                return blank(p, end) == end;
        }
        p = blank(p + 1, end);
    }
}

static PyObject *members(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyBytes_Check(args[0]) || !PyLong_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "bytes and the largest depth are needed");
        return NULL;
    }
    Py_ssize_t most = PyLong_AsSsize_t(args[1]);
    if (most == -1 && PyErr_Occurred())
        return NULL;
    At data = (At)PyBytes_AS_STRING(args[0]);
    PyObject *to = PyList_New(0);
    if (to == NULL)
        return NULL;
    int plain = read_members(to, data, data + PyBytes_GET_SIZE(args[0]), most);
    if (plain == 1)
        return to;
    Py_DECREF(to);
    if (plain < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"members", (PyCFunction)(void (*)(void))members, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "wws._json", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__json(void)
{
    return PyModule_Create(&module);
}
