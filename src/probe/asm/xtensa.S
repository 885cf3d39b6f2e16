/* Probe for xtensa and xtensaeb. The core instructions only, 24 bits wide: no
 * code density, no windowed call and no loop option, so any configuration of
 * the processor runs it. What every probe does is told in
 * src/probe/asm/README.md.
 *
 * System call: syscall, number in a2, arguments in a6, a3, a4 (in this order),
 * result in a2; all other registers are kept.
 * Numbers: read 12, write 13, exit 118, uname 208.
 * Source: Linux arch/xtensa/kernel/entry.S, arch/xtensa/kernel/syscalls/syscall.tbl;
 * QEMU linux-user/xtensa/cpu_loop.c.
 *
 * No assembler at hand encodes for a big-endian core: Debian's is that of a
 * little-endian one, and GNU's default tables are little-endian as well. So
 * with -DBIG the eleven instructions used are macros that write their bytes, and
 * any assembler will do. Source of the encodings: Xtensa Instruction Set
 * Architecture Reference Manual, chapter 8; a big-endian core has the fields in
 * the opposite order, each field as it is. */

#define BUFFER 512              /* struct new_utsname is 6 * 65 = 390 bytes; addmi adds multiples of 256 */
#define MACHINE 260             /* its fifth member */

#ifdef BIG
        .irp    number, 1, 2, 3, 4, 5, 6, 12, 13
        .set    a\number, \number
        .endr
/* In the assembler's expressions | and & rank alike.
 * Formats. RRI8: op0 t, s r, imm8. RRR: op0 t, s r, op1 op2. BRI12: op0 n m, s imm12. */
        .macro  rri8 r, t, s, imm8
        .byte   2 << 4 | \t, (\s) << 4 | \r, (\imm8) & 0xff
        .endm
        .macro  rrr op2, r, s, t
        .byte   0 << 4 | \t, \s << 4 | \r, 0 << 4 | \op2
        .endm
/* Instructions. */
        .macro  l8ui t, s, offset
        rri8    0, \t, \s, \offset
        .endm
        .macro  l32i t, s, offset       /* counted in words */
        rri8    2, \t, \s, (\offset)>>2
        .endm
        .macro  s8i t, s, offset
        rri8    4, \t, \s, \offset
        .endm
        .macro  movi t, value           /* 12 bits, the upper 4 in s */
        rri8    10, \t, (\value)>>8&15, \value
        .endm
        .macro  addi t, s, value
        rri8    12, \t, \s, \value
        .endm
        .macro  addmi t, s, value       /* counted in 256 */
        rri8    13, \t, \s, (\value)>>8
        .endm
        .macro  or r, s, t
        rrr     2, \r, \s, \t
        .endm
        .macro  add r, s, t
        rrr     8, \r, \s, \t
        .endm
        .macro  sub r, s, t
        rrr     12, \r, \s, \t
        .endm
        .macro  syscall
        .byte   0, 5, 0
        .endm
        .macro  bnez s, label           /* n 1, m 1; counted from here */
        .set    here, . + 4
        .byte   6 << 4 | 1 << 2 | 1, \s << 4 | ((\label - here) >> 8 & 15), (\label - here) & 0xff
        .endm
#else
        .begin  no-transform            /* what is written is what is assembled */
#endif
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
        movi    a3, MACHINE
        add     a3, a3, a1              /* the first string to report */

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
#ifndef BIG
        .end    no-transform
#endif
