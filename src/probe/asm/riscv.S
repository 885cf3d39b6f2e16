/* Probe for riscv32 and riscv64 (-DXLEN=32 or 64). Base integer instructions
 * only; no compressed ones, as e_flags does not announce them.
 * What every probe does is told in src/probe/asm/README.md.
 *
 * System call: ecall, number in a7, arguments in a0 to a2, result in a0; all
 * other registers are kept.
 * Numbers: read 63, write 64, exit 93, uname 160.
 * Source: Linux arch/riscv/kernel/entry.S, include/uapi/asm-generic/unistd.h. */

#if XLEN == 64
#define LOAD_POINTER ld
#else
#define LOAD_POINTER lw
#endif
#define WORD (XLEN / 8)
#define BUFFER 400              /* struct new_utsname is 6 * 65 = 390 bytes; sp stays a multiple of 16 */
#define MACHINE 260             /* its fifth member */

        .option norvc
        .option norelax                 /* or each branch would wait for a linker */
        .text
        .globl  _start
_start:
        addi    s0, sp, WORD            /* s0: cursor in argv, just above argc */
        addi    sp, sp, -BUFFER

        /* uname(buffer) */
        mv      a0, sp
        li      a7, 160
        ecall
        addi    a1, sp, MACHINE         /* the first string to report */
        li      s1, '\n'

        /* puts(a1): its NUL becomes the newline, so that one write does */
puts:
        mv      a2, a1
scan:
        lbu     t0, 0(a2)
        addi    a2, a2, 1
        bnez    t0, scan
        sb      s1, -1(a2)
        sub     a2, a2, a1              /* length, newline included */
        li      a0, 1
        li      a7, 64                  /* write(1, a1, a2) */
        ecall

        /* every argv[i], until the NULL */
        LOAD_POINTER a1, 0(s0)
        addi    s0, s0, WORD
        bnez    a1, puts

        /* an empty line ends the report */
        sb      s1, 0(sp)
        li      a0, 1
        mv      a1, sp
        li      a2, 1
        li      a7, 64                  /* write(1, buffer, 1) */
        ecall

        /* hold until one byte or the end of the input: 0 stays at EOF */
        sb      zero, 0(sp)
        li      a0, 0
        mv      a1, sp
        li      a2, 1
        li      a7, 63                  /* read(0, buffer, 1) */
        ecall

        lbu     a0, 0(sp)
        li      a7, 93                  /* exit(that byte) */
        ecall
