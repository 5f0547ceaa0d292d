/* Lines put together from texts, numbers and durations in one allocation, and named tuples made without their constructor.
 *
 * `wws.core.text` has both in Python, and says what they do; tests hold the two against each other.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

#define PARTS 40   /* of a line; one of more is put together object by object */
#define DIGITS 24  /* of any number here, its point included */
#define LONGEST 1e13

typedef struct {
    const char *at;
    Py_ssize_t size;
} Part;

/* The digits of `number`, ending before `end`: where they begin. */
static char *digits(char *end, unsigned long long number)
{
    do {
        *--end = (char)('0' + number % 10);
    } while (number /= 10);
    return end;
}

/* Seconds as milliseconds with two places, ending before `end`. Below 20 ms what is too small for two places is cut off. */
static char *milliseconds(char *end, double seconds)
{
    unsigned long long units = 0;
    if (seconds > 0.0) { /* false for NaN */
        if (seconds > LONGEST)
            seconds = LONGEST;
        units = (unsigned long long)(seconds * 100000.0);
        if (units >= 2000)
            units = (unsigned long long)(seconds * 100000.0 + 0.5);
    }
    *--end = (char)('0' + units % 10);
    *--end = (char)('0' + units / 10 % 10);
    *--end = '.';
    return digits(end, units / 100);
}

/* One part as it is written: 1 done, 0 not ASCII or a number too large, -1 an error. `room` is for its digits. */
static int read_part(Part *part, char *room, PyObject *value)
{
    char *end = room + DIGITS, *begin;
    if (PyUnicode_Check(value)) {
        if (!PyUnicode_IS_COMPACT_ASCII(value))
            return 0;
        part->at = (const char *)PyUnicode_1BYTE_DATA(value);
        part->size = PyUnicode_GET_LENGTH(value);
        return 1;
    }
    if (PyFloat_CheckExact(value)) {
        begin = milliseconds(end, PyFloat_AS_DOUBLE(value));
    } else if (value == Py_None) {
        begin = milliseconds(end, 0.0);
    } else if (PyLong_CheckExact(value)) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (overflow)
            return 0;
        begin = digits(end, number < 0 ? 0ULL - (unsigned long long)number : (unsigned long long)number);
        if (number < 0)
            *--begin = '-';
    } else {
        PyErr_Format(PyExc_TypeError, "a line is made of str, int, float and None, not %s", Py_TYPE(value)->tp_name);
        return -1;
    }
    part->at = begin;
    part->size = end - begin;
    return 1;
}

static PyObject *join_objects(PyObject *const *args, Py_ssize_t count)
{
    char room[DIGITS];
    Part part;
    PyObject *line = NULL, *nothing = PyUnicode_New(0, 0), *texts = PyList_New(count);
    if (nothing == NULL || texts == NULL)
        goto done;
    for (Py_ssize_t i = 0; i < count; i++) {
        int read = read_part(&part, room, args[i]);
        PyObject *text = read < 0 ? NULL : read ? PyUnicode_FromStringAndSize(part.at, part.size) : PyObject_Str(args[i]);
        if (text == NULL)
            goto done;
        PyList_SET_ITEM(texts, i, text);
    }
    line = PyUnicode_Join(nothing, texts);
done:
    Py_XDECREF(nothing);
    Py_XDECREF(texts);
    return line;
}

static PyObject *joined(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Part parts[PARTS];
    char room[PARTS][DIGITS];
    Py_ssize_t size = 0;
    if (count > PARTS)
        return join_objects(args, count);
    for (Py_ssize_t i = 0; i < count; i++) {
        int read = read_part(&parts[i], room[i], args[i]);
        if (read < 0)
            return NULL;
        if (!read)
            return join_objects(args, count);
        size += parts[i].size;
    }
    PyObject *line = PyUnicode_New(size, 127);
    if (line == NULL || !size)
        return line;
    char *at = (char *)PyUnicode_1BYTE_DATA(line);
    for (Py_ssize_t i = 0; i < count; i++) {
        memcpy(at, parts[i].at, (size_t)parts[i].size);
        at += parts[i].size;
    }
    return line;
}

static PyObject *record(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (count < 1 || !PyType_Check(args[0]) || !PyType_IsSubtype((PyTypeObject *)args[0], &PyTuple_Type)) {
        PyErr_SetString(PyExc_TypeError, "a record is made of a kind of tuple and its fields");
        return NULL;
    }
    PyTypeObject *type = (PyTypeObject *)args[0];
    if (type == &PyTuple_Type && count == 1)
        return PyTuple_New(0);
    PyObject *made = type->tp_alloc(type, count - 1);
    if (made == NULL)
        return NULL;
    for (Py_ssize_t i = 1; i < count; i++)
        PyTuple_SET_ITEM(made, i - 1, Py_NewRef(args[i]));
    return made;
}

static PyMethodDef functions[] = {
    {"joined", (PyCFunction)(void (*)(void))joined, METH_FASTCALL, NULL},
    {"record", (PyCFunction)(void (*)(void))record, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "wws._text", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__text(void)
{
    return PyModule_Create(&module);
}
