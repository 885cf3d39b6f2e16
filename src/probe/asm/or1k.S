/* Probe for or1k. Instructions of ORBIS32's first class only.
 * What every probe does is told in src/probe/asm/README.md.
 *
 * System call: l.sys 1, number in r11, arguments in r3 to r5, result in r11;
 * the temporaries (r3 to r8, r11 to r13 and the odd ones above) are lost, so
 * what must last is in r14 and r16.
 * Numbers: read 63, write 64, exit 93, uname 160.
 * Source: Linux arch/openrisc/kernel/entry.S, include/uapi/asm-generic/unistd.h.
 *
 * An instruction after a branch (its delay slot, indented by one more) is
 * executed whether it is taken or not. */

#define BUFFER 400              /* struct new_utsname is 6 * 65 = 390 bytes; r1 stays a multiple of 4 */
#define MACHINE 260             /* its fifth member */

        .text
        .globl  _start
_start:
        l.addi  r14, r1, 4              /* r14: cursor in argv, just above argc */
        l.addi  r1, r1, -BUFFER
        l.addi  r16, r0, 10             /* r16: '\n' */

        /* uname(buffer) */
        l.or    r3, r1, r1
        l.addi  r11, r0, 160
        l.sys   1
        l.addi  r4, r1, MACHINE         /* the first string to report */

        /* puts(r4): its NUL becomes the newline, so that one write does */
puts:
        l.or    r5, r4, r4
scan:
        l.lbz   r6, 0(r5)
        l.sfnei r6, 0
        l.bf    scan
         l.addi r5, r5, 1
        l.sb    -1(r5), r16
        l.sub   r5, r5, r4              /* length, newline included */
        l.addi  r3, r0, 1
        l.addi  r11, r0, 64             /* write(1, r4, r5) */
        l.sys   1

        /* every argv[i], until the NULL */
        l.lwz   r4, 0(r14)
        l.sfnei r4, 0
        l.bf    puts
         l.addi r14, r14, 4

        /* an empty line ends the report */
        l.sb    0(r1), r16
        l.addi  r3, r0, 1
        l.or    r4, r1, r1
        l.addi  r5, r0, 1
        l.addi  r11, r0, 64             /* write(1, buffer, 1) */
        l.sys   1

        /* hold until one byte or the end of the input: 0 stays at EOF */
        l.sb    0(r1), r0
        l.addi  r3, r0, 0
        l.or    r4, r1, r1
        l.addi  r5, r0, 1
        l.addi  r11, r0, 63             /* read(0, buffer, 1) */
        l.sys   1

        l.lbz   r3, 0(r1)
        l.addi  r11, r0, 93             /* exit(that byte) */
        l.sys   1
