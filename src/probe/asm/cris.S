/* Probe for cris (CRIS v32). What every probe does is told in
 * src/probe/asm/README.md.
 *
 * System call: break 13, number in r9, arguments in r10 to r12, result in r10;
 * all other registers are kept.
 * Numbers: exit 1, read 3, write 4, uname 122.
 * Source: Linux (until 4.16) arch/cris/arch-v32/kernel/entry.S,
 * arch/cris/include/uapi/asm/unistd.h.
 *
 * An instruction after a branch (its delay slot, indented by one more) is
 * executed whether it is taken or not; it must be one of 2 bytes. The operation
 * comes first, its destination last; addresses carry no displacement. */

#define BUFFER 400              /* struct new_utsname is 6 * 65 = 390 bytes; sp stays a multiple of 4 */
#define MACHINE 260             /* its fifth member */

        .text
        .globl  _start
_start:
        move.d  $sp, $r0
        addq    4, $r0                  /* r0: cursor in argv, just above argc */
        sub.d   BUFFER, $sp
        moveq   10, $r1                 /* r1: '\n' */

        /* uname(buffer) */
        move.d  $sp, $r10
        movu.b  122, $r9
        break   13
        move.d  $sp, $r11
        add.d   MACHINE, $r11           /* the first string to report */

        /* puts(r11): its NUL becomes the newline, so that one write does */
puts:
        move.d  $r11, $r12
scan:
        movu.b  [$r12+], $r2
        cmpq    0, $r2
        bne     scan
         nop
        subq    1, $r12
        move.b  $r1, [$r12]
        addq    1, $r12
        sub.d   $r11, $r12              /* length, newline included */
        moveq   1, $r10
        moveq   4, $r9                  /* write(1, r11, r12) */
        break   13

        /* every argv[i], until the NULL */
        move.d  [$r0+], $r11
        cmpq    0, $r11
        bne     puts
         nop

        /* an empty line ends the report */
        move.b  $r1, [$sp]
        moveq   1, $r10
        move.d  $sp, $r11
        moveq   1, $r12
        moveq   4, $r9                  /* write(1, buffer, 1) */
        break   13

        /* hold until one byte or the end of the input: 0 stays at EOF */
        clear.b [$sp]
        moveq   0, $r10
        move.d  $sp, $r11
        moveq   1, $r12
        moveq   3, $r9                  /* read(0, buffer, 1) */
        break   13

        movu.b  [$sp], $r10
        moveq   1, $r9                  /* exit(that byte) */
        break   13
