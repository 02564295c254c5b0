// Compiles HLSL files with one of Microsoft's shader compilers, with the flags that wgpu gives them. scripts/dx12.sh builds it for
// Windows and runs it under Wine.
//
// Usage: dx12_compile fxc|dxc PROFILE FILE...        PROFILE is cs_5_1 for FXC (d3dcompiler_47.dll), cs_6_0 or later for DXC
//                                                    (dxcompiler.dll)
// Prints a line per file: `ok` or `FAIL`, milliseconds of processor time, the file, and for a failure the compiler's words. Exits
// with 0 if the compiler could be loaded and the files read, whatever it said of them, else with 2.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

// Microsoft's blobs (ID3DBlob and IDxcBlob have the same methods). Methods that are not called have no types.
typedef struct Blob Blob;
struct Blob {
    const struct {
        void *query_interface, *add_ref;
        ULONG(WINAPI *release)(Blob *);
        const char *(WINAPI *pointer)(Blob *);
        SIZE_T(WINAPI *size)(Blob *);
    } *calls;
};

// IDxcResult, of which IDxcOperationResult's methods are the first.
typedef struct Result Result;
struct Result {
    const struct {
        void *query_interface, *add_ref;
        ULONG(WINAPI *release)(Result *);
        HRESULT(WINAPI *status)(Result *, HRESULT *);
        HRESULT(WINAPI *code)(Result *, Blob **);
        HRESULT(WINAPI *errors)(Result *, Blob **);
    } *calls;
};

typedef struct {
    const void *text;
    SIZE_T size;
    UINT encoding;
} Source;

// IDxcCompiler3.
typedef struct Compiler Compiler;
struct Compiler {
    const struct {
        void *query_interface, *add_ref, *release;
        HRESULT(WINAPI *compile)(Compiler *, const Source *, const wchar_t **, UINT, void *, REFIID, void **);
    } *calls;
};

typedef HRESULT(WINAPI *FxcCompile)(const void *, SIZE_T, const char *, const void *, void *, const char *, const char *, UINT, UINT,
                                    Blob **, Blob **);
typedef HRESULT(WINAPI *DxcCreate)(REFIID, REFIID, void **);

static const GUID CLSID_COMPILER = {0x73e22d93, 0xe6ce, 0x47f3, {0xb5, 0xbf, 0xf0, 0x66, 0x4f, 0x39, 0xc1, 0xb0}};
static const GUID IID_COMPILER3 = {0x228b4687, 0x5a6a, 0x4730, {0x90, 0x0c, 0x97, 0x02, 0xb2, 0x20, 0x3f, 0x54}};
static const GUID IID_RESULT = {0x58346cda, 0xdde7, 0x4497, {0x94, 0x61, 0x6f, 0x87, 0xaf, 0x5e, 0x06, 0x59}};
enum { UTF8 = 65001, ENABLE_STRICTNESS = 1 << 11 };

static FxcCompile fxc;
static Compiler *dxc;

static void fail(const char *what, const char *of) {
    fprintf(stderr, "%s %s (error %lu)\n", what, of, GetLastError());
    exit(2);
}

static void load(const char *compiler) {
    int is_fxc = !strcmp(compiler, "fxc");
    if (!is_fxc && strcmp(compiler, "dxc")) fail("there is no compiler", compiler);
    const char *name = is_fxc ? "d3dcompiler_47.dll" : "dxcompiler.dll";
    HMODULE library = LoadLibraryA(name);
    if (!library) fail("cannot load", name);
    FARPROC entry = GetProcAddress(library, is_fxc ? "D3DCompile" : "DxcCreateInstance");
    if (!entry) fail("there is no entry point in", name);
    if (is_fxc) {
        fxc = (FxcCompile)(void *)entry;
        return;
    }
    HRESULT result = ((DxcCreate)(void *)entry)(&CLSID_COMPILER, &IID_COMPILER3, (void **)&dxc);
    if (FAILED(result) || !dxc) fail("cannot make a compiler of", name);
}

static char *read(const char *path, SIZE_T *size) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) fail("cannot open", path);
    long length = ftell(file);
    char *text = length > 0 ? malloc(length) : NULL;
    rewind(file);
    if (!text || fread(text, 1, length, file) != (size_t)length) fail("cannot read", path);
    fclose(file);
    *size = length;
    return text;
}

// Both compile one file. The code is made and dropped; the errors are the caller's, and may be NULL.
static HRESULT with_fxc(const char *text, SIZE_T size, const char *profile, Blob **errors) {
    Blob *code = NULL;
    HRESULT result = fxc(text, size, NULL, NULL, NULL, "main", profile, ENABLE_STRICTNESS, 0, &code, errors);
    if (SUCCEEDED(result) && (!code || !code->calls->size(code))) result = E_FAIL;
    if (code) code->calls->release(code);
    return result;
}

static HRESULT with_dxc(const char *text, SIZE_T size, const char *profile, Blob **errors) {
    wchar_t wide[16] = {0};
    MultiByteToWideChar(CP_UTF8, 0, profile, -1, wide, 15);
    const wchar_t *flags[] = {L"-E", L"main", L"-T", wide, L"-HV", L"2018", L"-no-warnings", L"-Ges", L"-enable-16bit-types"};
    // Half precision is in profiles from 6.2 on, which is the only use made of them here.
    UINT count = strcmp(profile, "cs_6_2") < 0 ? 8 : 9;
    Source source = {text, size, UTF8};
    Result *result = NULL;
    HRESULT status = dxc->calls->compile(dxc, &source, flags, count, NULL, &IID_RESULT, (void **)&result);
    if (FAILED(status)) return status;
    result->calls->status(result, &status);
    result->calls->errors(result, errors);
    // wgpu takes any word of the compiler's for a failure.
    if (SUCCEEDED(status) && *errors && (*errors)->calls->size(*errors) > 1) status = E_FAIL;
    result->calls->release(result);
    return status;
}

// Processor time of this process in milliseconds: on a busy machine the clock says little.
static unsigned long long spent(void) {
    FILETIME made, ended;
    ULARGE_INTEGER kernel, user;
    GetProcessTimes(GetCurrentProcess(), &made, &ended, (FILETIME *)&kernel, (FILETIME *)&user);
    return (kernel.QuadPart + user.QuadPart) / 10000;
}

// The compiler's words, on one line.
static void say(Blob *errors) {
    SIZE_T size = errors ? errors->calls->size(errors) : 0;
    const char *text = size ? errors->calls->pointer(errors) : "";
    for (SIZE_T at = 0; at < size && at < 600 && text[at]; at++) putchar(text[at] == '\n' || text[at] == '\r' ? ' ' : text[at]);
}

int main(int count, char **words) {
    if (count < 4) {
        fprintf(stderr, "usage: dx12_compile fxc|dxc PROFILE FILE...\n");
        return 2;
    }
    load(words[1]);
    for (int at = 3; at < count; at++) {
        SIZE_T size;
        char *text = read(words[at], &size);
        Blob *errors = NULL;
        unsigned long long begun = spent();
        HRESULT result = (fxc ? with_fxc : with_dxc)(text, size, words[2], &errors);
        printf("%s\t%llu\t%s\t", SUCCEEDED(result) ? "ok" : "FAIL", spent() - begun, words[at]);
        if (FAILED(result)) {
            printf("%08lx ", result);
            say(errors);
        }
        putchar('\n');
        fflush(stdout);
        if (errors) errors->calls->release(errors);
        free(text);
    }
    return 0;
}
