dnl In httpd's tree (server/mpm/event): how this MPM is built.

sinclude([server/mpm/event/probes.m4])

dnl Trunk wants its module paths opened and closed; 2.4 has no such thing.
m4_ifdef([APACHE_MPMPATH_INIT], [APACHE_MPMPATH_INIT(event)])

dnl sources.mk is the only list of the rooms.
event_objects=`sed -n 's/^  *\([[a-z0-9_]]*\)\.c.*/\1.lo/p' \
    $srcdir/server/mpm/event/sources.mk | tr '\n' ' '`

APACHE_MPM_MODULE(event, $enable_mpm_event, $event_objects, [
    AC_CHECK_FUNCS(pthread_kill)
    EVENT_DEFS=
    EVENT_PROBES([EVENT_DEFS])
], , [\$(MOD_MPM_EVENT_LDADD)])
APACHE_SUBST(EVENT_DEFS)
APACHE_SUBST(MOD_MPM_EVENT_LDADD)

m4_ifdef([APACHE_MPMPATH_FINISH], [APACHE_MPMPATH_FINISH])
