dnl In httpd's tree (server/mpm/event): can this MPM run here?

AC_CACHE_CHECK([for C11 atomics], [event_cv_c11_atomics],
    [AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <stdatomic.h>]],
        [[_Atomic(void *) head = 0; return atomic_load(&head) != 0;]])],
        [event_cv_c11_atomics=yes], [event_cv_c11_atomics=no])])

AC_MSG_CHECKING([if event MPM supports this platform])
if test $forking_mpms_supported != yes; then
    AC_MSG_RESULT([no - it needs fork])
elif test $ac_cv_define_APR_HAS_THREADS != yes; then
    AC_MSG_RESULT([no - it needs an APR with threads])
elif test $have_threaded_sig_graceful != yes; then
    AC_MSG_RESULT([no - threads take SIGUSR1 here])
elif test $ac_cv_have_threadsafe_pollset != yes; then
    AC_MSG_RESULT([no - it needs epoll, kqueue or event ports])
elif test $event_cv_c11_atomics != yes; then
    AC_MSG_RESULT([no - it needs C11 atomics])
else
    AC_MSG_RESULT([yes])
    APACHE_MPM_SUPPORTED(event, yes, yes)
fi
