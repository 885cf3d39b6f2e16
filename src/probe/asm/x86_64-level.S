/* Tells which CPU an x86-64 program sees: four words of eight hex digits, a line
 * each, then exit status 0. In this order:
 *
 *   cpuid 1           ecx    SSE3, SSSE3, CX16, SSE4, POPCNT, FMA, MOVBE, AVX, F16C
 *   cpuid 7           ebx    BMI1, AVX2, BMI2, AVX-512; 0 when there is no such leaf
 *   cpuid 0x80000001  ecx    LAHF, LZCNT; every CPU with a long mode has this leaf
 *   xgetbv 0          eax    whose registers the kernel keeps; 0 without OSXSAVE
 *
 * Which bits make which level: System V ABI for x86-64, table 3.1; their places:
 * Intel's manual, volume 2A, CPUID. System calls as in x86_64.S. */

#define OSXSAVE 27
#define SIZE    36              /* four times eight digits and a newline */

        .text
        .globl  _start
_start:
        xorl    %eax, %eax
        cpuid
        movl    %eax, %r12d             /* the highest leaf */

        movl    $1, %eax
        cpuid
        movl    %ecx, %r13d

        xorl    %r14d, %r14d
        cmpl    $7, %r12d
        jb      extended
        movl    $7, %eax
        xorl    %ecx, %ecx
        cpuid
        movl    %ebx, %r14d

extended:
        movl    $0x80000001, %eax
        cpuid
        movl    %ecx, %r15d

        xorl    %eax, %eax
        btl     $OSXSAVE, %r13d
        jnc     report                  /* without it the instruction does not exist */
        xorl    %ecx, %ecx
        xgetbv
report:
        movl    %eax, %r12d
        subq    $40, %rsp
        movq    %rsp, %rdi
        movl    %r13d, %eax
        call    word
        movl    %r14d, %eax
        call    word
        movl    %r15d, %eax
        call    word
        movl    %r12d, %eax
        call    word

        movl    $SIZE, %edx
        movq    %rsp, %rsi
        movl    $1, %edi
        movl    $1, %eax                /* write(1, buffer, SIZE) */
        syscall

        xorl    %edi, %edi
        movl    $60, %eax               /* exit(0) */
        syscall

        /* eax as eight digits and a newline to rdi, which moves on */
word:
        movl    $8, %ecx
digit:
        roll    $4, %eax
        movl    %eax, %edx
        andl    $15, %edx
        cmpl    $10, %edx
        jb      decimal
        addl    $('a' - '0' - 10), %edx
decimal:
        addl    $'0', %edx
        movb    %dl, (%rdi)
        incq    %rdi
        decl    %ecx
        jnz     digit
        movb    $'\n', (%rdi)
        incq    %rdi
        ret
