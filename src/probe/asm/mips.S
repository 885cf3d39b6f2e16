/* Probe for mips, mipsel (o32), mipsn32, mipsn32el (n32), mips64 and mips64el
 * (n64): -DO32, -DN32 or -DN64. Instructions of MIPS I and III that
 * release 6 kept, so that it runs on all of them.
 * What every probe does is told in src/probe/asm/README.md.
 *
 * System call: syscall, number in v0 (each ABI has its own range), arguments
 * in a0 to a2, result in v0, error in a3; v0, v1, a3 and t0 to t9 are lost
 * and o32 does not promise a0 to a2 either, so what must last is in s0 and s1.
 * Numbers: o32 4000 + exit 1, read 3, write 4, uname 122;
 * n64 5000 + read 0, write 1, exit 58, uname 61; n32 6000 + the same.
 * Source: Linux arch/mips/kernel/syscalls/syscall_{o32,n32,n64}.tbl, scall*.S.
 *
 * An instruction after a branch (its delay slot, indented by one more) is
 * executed whether it is taken or not; a load's result is not there yet in the
 * next instruction on MIPS I. */

#ifdef O32
#define NR(o32, n64) (4000 + o32)
#elif defined N32
#define NR(o32, n64) (6000 + n64)
#else
#define NR(o32, n64) (5000 + n64)
#endif
#define NR_EXIT NR(1, 58)
#define NR_READ NR(3, 0)
#define NR_WRITE NR(4, 1)
#define NR_UNAME NR(122, 61)

#ifdef N64
#define LOAD_POINTER ld
#define ADD_POINTER daddiu
#define SUB_POINTER dsubu
#define WORD 8
#else
#define LOAD_POINTER lw
#define ADD_POINTER addiu       /* pointers of n32 are 32 bits too, sign-extended in registers */
#define SUB_POINTER subu
#define WORD 4
#endif
#define BUFFER 400              /* struct new_utsname is 6 * 65 = 390 bytes; sp stays a multiple of 16 */
#define MACHINE 260             /* its fifth member */

        .set    noreorder               /* delay slots are filled by hand */
        .set    noat
        .text
        .globl  _start
_start:
        ADD_POINTER $s0, $sp, WORD      /* s0: cursor in argv, just above argc */
        ADD_POINTER $sp, $sp, -BUFFER
        addiu   $s1, $zero, '\n'

        /* uname(buffer) */
        or      $a0, $sp, $zero
        addiu   $v0, $zero, NR_UNAME
        syscall
        ADD_POINTER $a1, $sp, MACHINE   /* the first string to report */

        /* puts(a1): its NUL becomes the newline, so that one write does */
puts:
        or      $a2, $a1, $zero
scan:
        lbu     $t0, 0($a2)
        ADD_POINTER $a2, $a2, 1
        bne     $t0, $zero, scan
         addiu  $a0, $zero, 1           /* delay slot: write's descriptor */
        sb      $s1, -1($a2)
        SUB_POINTER $a2, $a2, $a1       /* length, newline included */
        addiu   $v0, $zero, NR_WRITE    /* write(1, a1, a2) */
        syscall

        /* every argv[i], until the NULL */
        LOAD_POINTER $a1, 0($s0)
        ADD_POINTER $s0, $s0, WORD
        bne     $a1, $zero, puts
         sb     $s1, 0($sp)             /* delay slot: the empty line below */

        /* an empty line ends the report */
        addiu   $a0, $zero, 1
        or      $a1, $sp, $zero
        addiu   $a2, $zero, 1
        addiu   $v0, $zero, NR_WRITE    /* write(1, buffer, 1) */
        syscall

        /* hold until one byte or the end of the input: 0 stays at EOF */
        sb      $zero, 0($sp)
        or      $a0, $zero, $zero
        or      $a1, $sp, $zero
        addiu   $a2, $zero, 1
        addiu   $v0, $zero, NR_READ     /* read(0, buffer, 1) */
        syscall

        lbu     $a0, 0($sp)
        addiu   $v0, $zero, NR_EXIT     /* exit(that byte) */
        syscall
