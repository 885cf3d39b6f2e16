/* Probe for loongarch64. What every probe does is told in src/probe/asm/README.md.
 *
 * System call: syscall 0, number in a7, arguments in a0 to a2, result in a0;
 * t0 to t8 are lost, so what must last is in s0 and s1.
 * Numbers: read 63, write 64, exit 93, uname 160.
 * Source: Linux arch/loongarch/kernel/syscall.c, entry.S,
 * include/uapi/asm-generic/unistd.h. */

#define BUFFER 400              /* struct new_utsname is 6 * 65 = 390 bytes; sp stays a multiple of 16 */
#define MACHINE 260             /* its fifth member */

        .text
        .globl  _start
_start:
        addi.d  $s0, $sp, 8             /* s0: cursor in argv, just above argc */
        addi.d  $sp, $sp, -BUFFER
        ori     $s1, $zero, '\n'

        /* uname(buffer) */
        move    $a0, $sp
        ori     $a7, $zero, 160
        syscall 0
        addi.d  $a1, $sp, MACHINE       /* the first string to report */

        /* puts(a1): its NUL becomes the newline, so that one write does */
puts:
        move    $a2, $a1
scan:
        ld.bu   $t0, $a2, 0
        addi.d  $a2, $a2, 1
        bnez    $t0, scan
        st.b    $s1, $a2, -1
        sub.d   $a2, $a2, $a1           /* length, newline included */
        ori     $a0, $zero, 1
        ori     $a7, $zero, 64          /* write(1, a1, a2) */
        syscall 0

        /* every argv[i], until the NULL */
        ld.d    $a1, $s0, 0
        addi.d  $s0, $s0, 8
        bnez    $a1, puts

        /* an empty line ends the report */
        st.b    $s1, $sp, 0
        ori     $a0, $zero, 1
        move    $a1, $sp
        ori     $a2, $zero, 1
        ori     $a7, $zero, 64          /* write(1, buffer, 1) */
        syscall 0

        /* hold until one byte or the end of the input: 0 stays at EOF */
        st.b    $zero, $sp, 0
        move    $a0, $zero
        move    $a1, $sp
        ori     $a2, $zero, 1
        ori     $a7, $zero, 63          /* read(0, buffer, 1) */
        syscall 0

        ld.bu   $a0, $sp, 0
        ori     $a7, $zero, 93          /* exit(that byte) */
        syscall 0
