dnl What the system offers beyond POSIX, for both builds (configure.ac and
dnl config3.m4).  The answers are plain -D flags because the leaf rooms do
dnl not include httpd's headers, and so never see its ap_config_auto.h.

dnl EVENT_PROBES(VARIABLE): append -DHAVE_<FUNCTION>=1 for each one there is.
AC_DEFUN([EVENT_PROBES], [
    m4_foreach_w([event_func], [ppoll prctl epoll_create1 eventfd timerfd_create], [
        AC_CHECK_FUNC(event_func,
            [$1="$$1 -DHAVE_[]m4_toupper(event_func)=1"])
    ])
])
