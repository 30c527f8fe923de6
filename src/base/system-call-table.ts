/**
 * The system calls of Linux by number and name, with the names of their parameters, as text: a line
 * for each, with its number on x86-64 and on arm64 (`-` where there is none), its name, and its
 * parameters in the order of their registers (`-`: none, `?`: not written down here). Facts:
 * asm/unistd_64.h, asm-generic/unistd.h, and for the parameters the kernel's own descriptions of
 * them (the format files of the tracepoints syscalls:sys_enter_*).
 */

/** See the file's comment; systemCalls() of system-calls.ts reads it. */
export const SYSTEM_CALL_TABLE = `
0 63 read fd buf count
1 64 write fd buf count
2 - open filename flags mode
3 57 close fd
4 - stat filename statbuf
5 80 fstat fd statbuf
6 - lstat filename statbuf
7 - poll ufds nfds timeout_msecs
8 62 lseek fd offset whence
9 222 mmap addr len prot flags fd off
10 226 mprotect start len prot
11 215 munmap addr len
12 214 brk brk
13 134 rt_sigaction sig act oact sigsetsize
14 135 rt_sigprocmask how nset oset sigsetsize
15 139 rt_sigreturn -
16 29 ioctl fd cmd arg
17 67 pread64 fd buf count pos
18 68 pwrite64 fd buf count pos
19 65 readv fd vec vlen
20 66 writev fd vec vlen
21 - access filename mode
22 - pipe fildes
23 - select n inp outp exp tvp
24 124 sched_yield -
25 216 mremap addr old_len new_len flags new_addr
26 227 msync start len flags
27 232 mincore start len vec
28 233 madvise start len_in behavior
29 194 shmget key size shmflg
30 196 shmat shmid shmaddr shmflg
31 195 shmctl shmid cmd buf
32 23 dup fildes
33 - dup2 oldfd newfd
34 - pause -
35 101 nanosleep rqtp rmtp
36 102 getitimer which value
37 - alarm seconds
38 103 setitimer which value ovalue
39 172 getpid -
40 71 sendfile out_fd in_fd offset count
41 198 socket family type protocol
42 203 connect fd uservaddr addrlen
43 202 accept fd upeer_sockaddr upeer_addrlen
44 206 sendto fd buff len flags addr addr_len
45 207 recvfrom fd ubuf size flags addr addr_len
46 211 sendmsg fd msg flags
47 212 recvmsg fd msg flags
48 210 shutdown fd how
49 200 bind fd umyaddr addrlen
50 201 listen fd backlog
51 204 getsockname fd usockaddr usockaddr_len
52 205 getpeername fd usockaddr usockaddr_len
53 199 socketpair family type protocol usockvec
54 208 setsockopt fd level optname optval optlen
55 209 getsockopt fd level optname optval optlen
56 220 clone clone_flags newsp parent_tidptr child_tidptr tls
57 - fork -
58 - vfork -
59 221 execve filename argv envp
60 93 exit error_code
61 260 wait4 upid stat_addr options ru
62 129 kill pid sig
63 160 uname name
64 190 semget key nsems semflg
65 193 semop semid tsops nsops
66 191 semctl semid semnum cmd arg
67 197 shmdt shmaddr
68 186 msgget key msgflg
69 189 msgsnd msqid msgp msgsz msgflg
70 188 msgrcv msqid msgp msgsz msgtyp msgflg
71 187 msgctl msqid cmd buf
72 25 fcntl fd cmd arg
73 32 flock fd cmd
74 82 fsync fd
75 83 fdatasync fd
76 45 truncate path length
77 46 ftruncate fd length
78 - getdents fd dirent count
79 17 getcwd buf size
80 49 chdir filename
81 50 fchdir fd
82 - rename oldname newname
83 - mkdir pathname mode
84 - rmdir pathname
85 - creat pathname mode
86 - link oldname newname
87 - unlink pathname
88 - symlink oldname newname
89 - readlink path buf bufsiz
90 - chmod filename mode
91 52 fchmod fd mode
92 - chown filename user group
93 55 fchown fd user group
94 - lchown filename user group
95 166 umask mask
96 169 gettimeofday tv tz
97 163 getrlimit resource rlim
98 165 getrusage who ru
99 179 sysinfo info
100 153 times tbuf
101 117 ptrace request pid addr data
102 174 getuid -
103 116 syslog type buf len
104 176 getgid -
105 146 setuid uid
106 144 setgid gid
107 175 geteuid -
108 177 getegid -
109 154 setpgid pid pgid
110 173 getppid -
111 - getpgrp -
112 157 setsid -
113 145 setreuid ruid euid
114 143 setregid rgid egid
115 158 getgroups gidsetsize grouplist
116 159 setgroups gidsetsize grouplist
117 147 setresuid ruid euid suid
118 148 getresuid ruidp euidp suidp
119 149 setresgid rgid egid sgid
120 150 getresgid rgidp egidp sgidp
121 155 getpgid pid
122 151 setfsuid uid
123 152 setfsgid gid
124 156 getsid pid
125 90 capget header dataptr
126 91 capset header data
127 136 rt_sigpending uset sigsetsize
128 137 rt_sigtimedwait uthese uinfo uts sigsetsize
129 138 rt_sigqueueinfo pid sig uinfo
130 133 rt_sigsuspend unewset sigsetsize
131 132 sigaltstack uss uoss
132 - utime filename times
133 - mknod filename mode dev
134 - uselib ?
135 92 personality personality
136 - ustat ?
137 43 statfs pathname buf
138 44 fstatfs fd buf
139 - sysfs ?
140 141 getpriority which who
141 140 setpriority which who niceval
142 118 sched_setparam pid param
143 121 sched_getparam pid param
144 119 sched_setscheduler pid policy param
145 120 sched_getscheduler pid
146 125 sched_get_priority_max policy
147 126 sched_get_priority_min policy
148 127 sched_rr_get_interval pid interval
149 228 mlock start len
150 229 munlock start len
151 230 mlockall flags
152 231 munlockall -
153 58 vhangup -
154 - modify_ldt ?
155 41 pivot_root new_root put_old
156 - _sysctl ?
157 167 prctl option arg2 arg3 arg4 arg5
158 - arch_prctl option arg2
159 171 adjtimex txc_p
160 164 setrlimit resource rlim
161 51 chroot filename
162 81 sync -
163 89 acct name
164 170 settimeofday tv tz
165 40 mount dev_name dir_name type flags data
166 39 umount2 name flags
167 224 swapon specialfile swap_flags
168 225 swapoff specialfile
169 142 reboot magic1 magic2 cmd arg
170 161 sethostname name len
171 162 setdomainname name len
172 - iopl level
173 - ioperm from num turn_on
174 - create_module ?
175 105 init_module umod len uargs
176 106 delete_module name_user flags
177 - get_kernel_syms ?
178 - query_module ?
179 60 quotactl cmd special id addr
180 42 nfsservctl ?
181 - getpmsg ?
182 - putpmsg ?
183 - afs_syscall ?
184 - tuxcall ?
185 - security ?
186 178 gettid -
187 213 readahead fd offset count
188 5 setxattr pathname name value size flags
189 6 lsetxattr pathname name value size flags
190 7 fsetxattr fd name value size flags
191 8 getxattr pathname name value size
192 9 lgetxattr pathname name value size
193 10 fgetxattr fd name value size
194 11 listxattr pathname list size
195 12 llistxattr pathname list size
196 13 flistxattr fd list size
197 14 removexattr pathname name
198 15 lremovexattr pathname name
199 16 fremovexattr fd name
200 130 tkill pid sig
201 - time tloc
202 98 futex uaddr op val utime uaddr2 val3
203 122 sched_setaffinity pid len user_mask_ptr
204 123 sched_getaffinity pid len user_mask_ptr
205 - set_thread_area ?
206 0 io_setup nr_events ctxp
207 1 io_destroy ctx
208 4 io_getevents ctx_id min_nr nr events timeout
209 2 io_submit ctx_id nr iocbpp
210 3 io_cancel ctx_id iocb result
211 - get_thread_area ?
212 18 lookup_dcookie ?
213 - epoll_create size
214 - epoll_ctl_old ?
215 - epoll_wait_old ?
216 234 remap_file_pages start size prot pgoff flags
217 61 getdents64 fd dirent count
218 96 set_tid_address tidptr
219 128 restart_syscall -
220 192 semtimedop semid tsops nsops timeout
221 223 fadvise64 fd offset len advice
222 107 timer_create which_clock timer_event_spec created_timer_id
223 110 timer_settime timer_id flags new_setting old_setting
224 108 timer_gettime timer_id setting
225 109 timer_getoverrun timer_id
226 111 timer_delete timer_id
227 112 clock_settime which_clock tp
228 113 clock_gettime which_clock tp
229 114 clock_getres which_clock tp
230 115 clock_nanosleep which_clock flags rqtp rmtp
231 94 exit_group error_code
232 - epoll_wait epfd events maxevents timeout
233 21 epoll_ctl epfd op fd event
234 131 tgkill tgid pid sig
235 - utimes filename utimes
236 - vserver ?
237 235 mbind start len mode nmask maxnode flags
238 237 set_mempolicy mode nmask maxnode
239 236 get_mempolicy policy nmask maxnode addr flags
240 180 mq_open u_name oflag mode u_attr
241 181 mq_unlink u_name
242 182 mq_timedsend mqdes u_msg_ptr msg_len msg_prio u_abs_timeout
243 183 mq_timedreceive mqdes u_msg_ptr msg_len u_msg_prio u_abs_timeout
244 184 mq_notify mqdes u_notification
245 185 mq_getsetattr mqdes u_mqstat u_omqstat
246 104 kexec_load entry nr_segments segments flags
247 95 waitid which upid infop options ru
248 217 add_key _type _description _payload plen ringid
249 218 request_key _type _description _callout_info destringid
250 219 keyctl option arg2 arg3 arg4 arg5
251 30 ioprio_set which who ioprio
252 31 ioprio_get which who
253 - inotify_init -
254 27 inotify_add_watch fd pathname mask
255 28 inotify_rm_watch fd wd
256 238 migrate_pages pid maxnode old_nodes new_nodes
257 56 openat dfd filename flags mode
258 34 mkdirat dfd pathname mode
259 33 mknodat dfd filename mode dev
260 54 fchownat dfd filename user group flag
261 - futimesat dfd filename utimes
262 79 newfstatat dfd filename statbuf flag
263 35 unlinkat dfd pathname flag
264 38 renameat olddfd oldname newdfd newname
265 37 linkat olddfd oldname newdfd newname flags
266 36 symlinkat oldname newdfd newname
267 78 readlinkat dfd pathname buf bufsiz
268 53 fchmodat dfd filename mode
269 48 faccessat dfd filename mode
270 72 pselect6 n inp outp exp tsp sig
271 73 ppoll ufds nfds tsp sigmask sigsetsize
272 97 unshare unshare_flags
273 99 set_robust_list head len
274 100 get_robust_list pid head_ptr len_ptr
275 76 splice fd_in off_in fd_out off_out len flags
276 77 tee fdin fdout len flags
277 84 sync_file_range fd offset nbytes flags
278 75 vmsplice fd uiov nr_segs flags
279 239 move_pages pid nr_pages pages nodes status flags
280 88 utimensat dfd filename utimes flags
281 22 epoll_pwait epfd events maxevents timeout sigmask sigsetsize
282 - signalfd ufd user_mask sizemask
283 85 timerfd_create clockid flags
284 - eventfd count
285 47 fallocate fd mode offset len
286 86 timerfd_settime ufd flags utmr otmr
287 87 timerfd_gettime ufd otmr
288 242 accept4 fd upeer_sockaddr upeer_addrlen flags
289 74 signalfd4 ufd user_mask sizemask flags
290 19 eventfd2 count flags
291 20 epoll_create1 flags
292 24 dup3 oldfd newfd flags
293 59 pipe2 fildes flags
294 26 inotify_init1 flags
295 69 preadv fd vec vlen pos_l pos_h
296 70 pwritev fd vec vlen pos_l pos_h
297 240 rt_tgsigqueueinfo tgid pid sig uinfo
298 241 perf_event_open attr_uptr pid cpu group_fd flags
299 243 recvmmsg fd mmsg vlen flags timeout
300 262 fanotify_init flags event_f_flags
301 263 fanotify_mark fanotify_fd flags mask dfd pathname
302 261 prlimit64 pid resource new_rlim old_rlim
303 264 name_to_handle_at dfd name handle mnt_id flag
304 265 open_by_handle_at mountdirfd handle flags
305 266 clock_adjtime which_clock utx
306 267 syncfs fd
307 269 sendmmsg fd mmsg vlen flags
308 268 setns fd flags
309 168 getcpu cpup nodep unused
310 270 process_vm_readv pid lvec liovcnt rvec riovcnt flags
311 271 process_vm_writev pid lvec liovcnt rvec riovcnt flags
312 272 kcmp pid1 pid2 type idx1 idx2
313 273 finit_module fd uargs flags
314 274 sched_setattr pid uattr flags
315 275 sched_getattr pid uattr usize flags
316 276 renameat2 olddfd oldname newdfd newname flags
317 277 seccomp op flags uargs
318 278 getrandom ubuf len flags
319 279 memfd_create uname flags
320 294 kexec_file_load kernel_fd initrd_fd cmdline_len cmdline_ptr flags
321 280 bpf cmd uattr size
322 281 execveat fd filename argv envp flags
323 282 userfaultfd flags
324 283 membarrier cmd flags cpu_id
325 284 mlock2 start len flags
326 285 copy_file_range fd_in off_in fd_out off_out len flags
327 286 preadv2 fd vec vlen pos_l pos_h flags
328 287 pwritev2 fd vec vlen pos_l pos_h flags
329 288 pkey_mprotect start len prot pkey
330 289 pkey_alloc flags init_val
331 290 pkey_free pkey
332 291 statx dfd filename flags mask buffer
333 292 io_pgetevents ctx_id min_nr nr events timeout usig
334 293 rseq rseq rseq_len flags sig
424 424 pidfd_send_signal pidfd sig info flags
425 425 io_uring_setup entries params
426 426 io_uring_enter fd to_submit min_complete flags argp argsz
427 427 io_uring_register fd opcode arg nr_args
428 428 open_tree dfd filename flags
429 429 move_mount from_dfd from_pathname to_dfd to_pathname flags
430 430 fsopen _fs_name flags
431 431 fsconfig fd cmd _key _value aux
432 432 fsmount fs_fd flags attr_flags
433 433 fspick dfd path flags
434 434 pidfd_open pid flags
435 435 clone3 uargs size
436 436 close_range fd max_fd flags
437 437 openat2 dfd filename how usize
438 438 pidfd_getfd pidfd fd flags
439 439 faccessat2 dfd filename mode flags
440 440 process_madvise pidfd vec vlen behavior flags
441 441 epoll_pwait2 epfd events maxevents timeout sigmask sigsetsize
442 442 mount_setattr dfd path flags uattr usize
443 443 quotactl_fd fd cmd id addr
444 444 landlock_create_ruleset attr size flags
445 445 landlock_add_rule ruleset_fd rule_type rule_attr flags
446 446 landlock_restrict_self ruleset_fd flags
447 447 memfd_secret flags
448 448 process_mrelease pidfd flags
449 449 futex_waitv waiters nr_futexes flags timeout clockid
450 450 set_mempolicy_home_node start len home_node flags
451 451 cachestat fd cstat_range cstat flags
452 452 fchmodat2 dfd filename mode flags
453 453 map_shadow_stack addr size flags
454 454 futex_wake uaddr mask nr flags
455 455 futex_wait uaddr val mask flags timeout clockid
456 456 futex_requeue waiters flags nr_wake nr_requeue
457 457 statmount req buf bufsize flags
458 458 listmount req mnt_ids nr_mnt_ids flags
459 459 lsm_get_self_attr attr ctx size flags
460 460 lsm_set_self_attr attr ctx size flags
461 461 lsm_list_modules ids size flags
462 462 mseal start len flags
463 463 setxattrat ?
464 464 getxattrat ?
465 465 listxattrat ?
466 466 removexattrat ?
467 467 open_tree_attr ?
468 468 file_getattr ?
469 469 file_setattr ?
`;
