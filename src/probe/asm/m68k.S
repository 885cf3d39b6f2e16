/* Probe for m68k. Instructions of the 68000 only, ColdFire has them too.
 * What every probe does is told in src/probe/asm/README.md.
 *
 * System call: trap #0, number in d0, arguments in d1 to d3, result in d0; all
 * other registers are kept.
 * Numbers: exit 1, read 3, write 4, uname 122.
 * Source: Linux arch/m68k/kernel/entry.S, arch/m68k/kernel/syscalls/syscall.tbl. */

#define BUFFER 400              /* struct new_utsname is 6 * 65 = 390 bytes */
#define MACHINE 260             /* its fifth member */

        .text
        .globl  _start
_start:
        lea     4(%sp), %a2             /* a2: cursor in argv, just above argc */
        lea     -BUFFER(%sp), %sp

        /* uname(buffer) */
        move.l  %sp, %d1
        moveq   #122, %d0
        trap    #0
        lea     MACHINE(%sp), %a0       /* the first string to report */

        /* puts(a0): its NUL becomes the newline, so that one write does */
puts:
        move.l  %a0, %d2
scan:
        tst.b   (%a0)+
        bne.s   scan
        move.b  #'\n', -(%a0)
        addq.l  #1, %a0
        move.l  %a0, %d3
        sub.l   %d2, %d3                /* length, newline included */
        moveq   #1, %d1
        moveq   #4, %d0                 /* write(1, d2, d3) */
        trap    #0

        /* every argv[i], until the NULL */
        move.l  (%a2)+, %d0             /* a move to an address register sets no flags */
        movea.l %d0, %a0
        tst.l   %d0
        bne.s   puts

        /* an empty line ends the report */
        move.b  #'\n', (%sp)
        moveq   #1, %d1
        move.l  %sp, %d2
        moveq   #1, %d3
        moveq   #4, %d0                 /* write(1, buffer, 1) */
        trap    #0

        /* hold until one byte or the end of the input: 0 stays at EOF */
        clr.b   (%sp)
        moveq   #0, %d1
        move.l  %sp, %d2
        moveq   #1, %d3
        moveq   #3, %d0                 /* read(0, buffer, 1) */
        trap    #0

        moveq   #0, %d1
        move.b  (%sp), %d1
        moveq   #1, %d0                 /* exit(that byte) */
        trap    #0
