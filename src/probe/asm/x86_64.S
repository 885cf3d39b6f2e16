/* Probe for x86_64. What every probe does is told in src/probe/asm/README.md.
 *
 * System call: number in rax, arguments in rdi, rsi, rdx, result in rax; the
 * instruction itself clobbers rcx and r11, the kernel keeps all else.
 * Numbers: read 0, write 1, exit 60, uname 63.
 * Source: Linux arch/x86/entry/entry_64.S, arch/x86/entry/syscalls/syscall_64.tbl;
 * entry stack: System V ABI for x86-64, figure 3.9. */

#define BUFFER 400              /* struct new_utsname is 6 * 65 = 390 bytes */
#define MACHINE 260             /* its fifth member */

        .text
        .globl  _start
_start:
        leaq    8(%rsp), %rbx           /* rbx: cursor in argv, just above argc */
        subq    $BUFFER, %rsp

        /* uname(buffer) */
        movq    %rsp, %rdi
        movl    $63, %eax               /* a 32-bit move clears the upper half: shorter */
        syscall
        leaq    MACHINE(%rsp), %rsi     /* the first string to report */

        /* puts(rsi): its NUL becomes the newline, so that one write does */
puts:
        movq    %rsi, %rdx
scan:
        incq    %rdx
        cmpb    $0, -1(%rdx)
        jne     scan
        movb    $'\n', -1(%rdx)
        subq    %rsi, %rdx              /* length, newline included */
        movl    $1, %edi
        movl    $1, %eax                /* write(1, rsi, rdx) */
        syscall

        /* every argv[i], until the NULL */
        movq    (%rbx), %rsi
        addq    $8, %rbx
        testq   %rsi, %rsi
        jnz     puts

        /* an empty line ends the report */
        movb    $'\n', (%rsp)
        movq    %rsp, %rsi
        movl    $1, %edx
        movl    $1, %edi
        movl    $1, %eax                /* write(1, buffer, 1) */
        syscall

        /* hold until one byte or the end of the input: 0 stays at EOF */
        movb    $0, (%rsp)
        movq    %rsp, %rsi
        movl    $1, %edx
        xorl    %edi, %edi
        xorl    %eax, %eax              /* read(0, buffer, 1) */
        syscall

        movzbl  (%rsp), %edi
        movl    $60, %eax               /* exit(that byte) */
        syscall
