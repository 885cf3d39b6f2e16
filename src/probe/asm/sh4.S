/* Probe for sh4 and sh4eb. Instructions of the SH-1 only.
 * What every probe does is told in src/probe/asm/README.md.
 *
 * System call: trapa #0x10 plus the number of arguments, number in r3,
 * arguments in r4 to r6, result in r0; all other registers are kept.
 * Numbers: exit 1, read 3, write 4, uname 122.
 * Source: Linux arch/sh/kernel/cpu/sh3/entry.S, arch/sh/kernel/syscalls/syscall.tbl.
 *
 * Immediate operands have 8 bits with sign, so larger numbers are shifted into
 * place and no literal pool is needed; bf and bt have no delay slot. */

#define BUFFER 400              /* struct new_utsname is 6 * 65 = 390 bytes; r15 stays a multiple of 4 */
#define MACHINE 260             /* its fifth member */

        .text
        .globl  _start
_start:
        mov     r15, r8
        add     #4, r8                  /* r8: cursor in argv, just above argc */
        mov     #(BUFFER / 4), r0
        shll2   r0
        sub     r0, r15
        mov     #10, r9                 /* r9: '\n' */

        /* uname(buffer) */
        mov     r15, r4
        mov     #122, r3
        trapa   #0x11
        mov     #(MACHINE / 4), r5
        shll2   r5
        add     r15, r5                 /* the first string to report */

        /* puts(r5): its NUL becomes the newline, so that one write does */
puts:
        mov     r5, r6
scan:
        mov.b   @r6+, r0
        tst     r0, r0
        bf      scan
        mov     r6, r0
        add     #-1, r0
        mov.b   r9, @r0
        sub     r5, r6                  /* length, newline included */
        mov     #1, r4
        mov     #4, r3                  /* write(1, r5, r6) */
        trapa   #0x13

        /* every argv[i], until the NULL */
        mov.l   @r8+, r5
        tst     r5, r5
        bf      puts

        /* an empty line ends the report */
        mov.b   r9, @r15
        mov     #1, r4
        mov     r15, r5
        mov     #1, r6
        mov     #4, r3                  /* write(1, buffer, 1) */
        trapa   #0x13

        /* hold until one byte or the end of the input: 0 stays at EOF */
        mov     #0, r4
        mov.b   r4, @r15
        mov     r15, r5
        mov     #1, r6
        mov     #3, r3                  /* read(0, buffer, 1) */
        trapa   #0x13

        mov.b   @r15, r4
        extu.b  r4, r4                  /* mov.b extends the sign */
        mov     #1, r3                  /* exit(that byte) */
        trapa   #0x11
