/* Probe for xtensa and xtensaeb. The core instructions only, 24 bits wide: no
 * code density, no windowed call and no loop option, so any configuration of
 * the processor runs it. What every probe does is told in
 * src/probe/asm/README.md.
 *
 * System call: syscall, number in a2, arguments in a6, a3, a4 (in this order),
 * result in a2; all other registers are kept.
 * Numbers: read 12, write 13, exit 118, uname 208.
 * Source: Linux arch/xtensa/kernel/entry.S, arch/xtensa/kernel/syscalls/syscall.tbl;
 * QEMU linux-user/xtensa/cpu_loop.c. */

#define BUFFER 512              /* struct new_utsname is 6 * 65 = 390 bytes; addmi adds multiples of 256 */
#define MACHINE 260             /* its fifth member */

        .begin  no-transform            /* what is written is what is assembled */
        .text
        .globl  _start
_start:
        addi    a12, a1, 4              /* a12: cursor in argv, just above argc */
        addmi   a1, a1, -BUFFER
        movi    a13, 10                 /* a13: '\n' */

        /* uname(buffer) */
        or      a6, a1, a1
        movi    a2, 208
        syscall
        addmi   a3, a1, 256
        addi    a3, a3, MACHINE - 256   /* the first string to report */

        /* puts(a3): its NUL becomes the newline, so that one write does */
puts:
        or      a4, a3, a3
scan:
        l8ui    a5, a4, 0
        addi    a4, a4, 1
        bnez    a5, scan
        addi    a5, a4, -1              /* no negative offset in a store */
        s8i     a13, a5, 0
        sub     a4, a4, a3              /* length, newline included */
        movi    a6, 1
        movi    a2, 13                  /* write(1, a3, a4) */
        syscall

        /* every argv[i], until the NULL */
        l32i    a3, a12, 0
        addi    a12, a12, 4
        bnez    a3, puts

        /* an empty line ends the report */
        s8i     a13, a1, 0
        movi    a6, 1
        or      a3, a1, a1
        movi    a4, 1
        movi    a2, 13                  /* write(1, buffer, 1) */
        syscall

        /* hold until one byte or the end of the input: 0 stays at EOF */
        movi    a6, 0
        s8i     a6, a1, 0
        or      a3, a1, a1
        movi    a4, 1
        movi    a2, 12                  /* read(0, buffer, 1) */
        syscall

        l8ui    a6, a1, 0
        movi    a2, 118                 /* exit(that byte) */
        syscall
        .end    no-transform
