/* Probe for i386 (and i486). What every probe does is told in src/probe/asm/README.md.
 *
 * System call: int 0x80, number in eax, arguments in ebx, ecx, edx, result in
 * eax; all other registers are kept. Instructions of the 80386 only.
 * Numbers: exit 1, read 3, write 4, uname 122.
 * Source: Linux arch/x86/entry/entry_32.S, arch/x86/entry/syscalls/syscall_32.tbl;
 * entry stack: System V ABI, Intel386 supplement, figure 3-31. */

#define BUFFER 400              /* struct new_utsname is 6 * 65 = 390 bytes */
#define MACHINE 260             /* its fifth member */

        .text
        .globl  _start
_start:
        leal    4(%esp), %esi           /* esi: cursor in argv, just above argc */
        subl    $BUFFER, %esp

        /* uname(buffer) */
        movl    %esp, %ebx
        movl    $122, %eax
        int     $0x80
        leal    MACHINE(%esp), %ecx     /* the first string to report */

        /* puts(ecx): its NUL becomes the newline, so that one write does */
puts:
        movl    %ecx, %edx
scan:
        incl    %edx
        cmpb    $0, -1(%edx)
        jne     scan
        movb    $'\n', -1(%edx)
        subl    %ecx, %edx              /* length, newline included */
        movl    $1, %ebx
        movl    $4, %eax                /* write(1, ecx, edx) */
        int     $0x80

        /* every argv[i], until the NULL */
        movl    (%esi), %ecx
        addl    $4, %esi
        testl   %ecx, %ecx
        jnz     puts

        /* an empty line ends the report */
        movb    $'\n', (%esp)
        movl    %esp, %ecx
        movl    $1, %edx
        movl    $1, %ebx
        movl    $4, %eax                /* write(1, buffer, 1) */
        int     $0x80

        /* hold until one byte or the end of the input: 0 stays at EOF */
        movb    $0, (%esp)
        movl    %esp, %ecx
        movl    $1, %edx
        xorl    %ebx, %ebx
        movl    $3, %eax                /* read(0, buffer, 1) */
        int     $0x80

        movzbl  (%esp), %ebx
        movl    $1, %eax                /* exit(that byte) */
        int     $0x80
