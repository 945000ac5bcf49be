// Build options of Boost for this folder; included before any Boost header. Boost.Asio and
// Boost.Beast are compiled once, in boost_library.cc, because their inline form costs about ten
// seconds in every file that includes them.
#pragma once

#define BOOST_ASIO_SEPARATE_COMPILATION
#define BOOST_BEAST_SEPARATE_COMPILATION
#define BOOST_ASIO_NO_DEPRECATED
// ThreadSanitizer does not understand fences. Here they order nothing that the contexts' own locks
// do not: each context runs on one thread.
#ifdef __SANITIZE_THREAD__
#define BOOST_ASIO_DISABLE_FENCED_BLOCK
#endif
