/* Probe for nios2 (R1 encoding, little-endian). What every probe does is told
 * in src/probe/asm/README.md.
 *
 * System call: trap, number in r2, arguments in r4 to r6, result in r2, error
 * told by r7; r1 to r15 are lost, so what must last is in r16 and r17.
 * Numbers: read 63, write 64, exit 93, uname 160.
 * Source: Linux arch/nios2/kernel/entry.S, include/uapi/asm-generic/unistd.h. */

#define BUFFER 400              /* struct new_utsname is 6 * 65 = 390 bytes; sp stays a multiple of 4 */
#define MACHINE 260             /* its fifth member */

        .set    noat
        .text
        .globl  _start
_start:
        addi    r16, sp, 4              /* r16: cursor in argv, just above argc */
        addi    sp, sp, -BUFFER
        addi    r17, zero, 10           /* r17: '\n' */

        /* uname(buffer) */
        mov     r4, sp
        addi    r2, zero, 160
        trap
        addi    r5, sp, MACHINE         /* the first string to report */

        /* puts(r5): its NUL becomes the newline, so that one write does */
puts:
        mov     r6, r5
scan:
        ldbu    r3, 0(r6)
        addi    r6, r6, 1
        bne     r3, zero, scan
        stb     r17, -1(r6)
        sub     r6, r6, r5              /* length, newline included */
        addi    r4, zero, 1
        addi    r2, zero, 64            /* write(1, r5, r6) */
        trap

        /* every argv[i], until the NULL */
        ldw     r5, 0(r16)
        addi    r16, r16, 4
        bne     r5, zero, puts

        /* an empty line ends the report */
        stb     r17, 0(sp)
        addi    r4, zero, 1
        mov     r5, sp
        addi    r6, zero, 1
        addi    r2, zero, 64            /* write(1, buffer, 1) */
        trap

        /* hold until one byte or the end of the input: 0 stays at EOF */
        stb     zero, 0(sp)
        mov     r4, zero
        mov     r5, sp
        addi    r6, zero, 1
        addi    r2, zero, 63            /* read(0, buffer, 1) */
        trap

        ldbu    r4, 0(sp)
        addi    r2, zero, 93            /* exit(that byte) */
        trap
