// Build options of Boost for this folder; included before any Boost header. Boost.Asio and
// Boost.Beast are compiled once, in boost_library.cc, because their inline form costs about ten
// seconds in every file that includes them.
#pragma once

#define BOOST_ASIO_SEPARATE_COMPILATION
#define BOOST_BEAST_SEPARATE_COMPILATION
#define BOOST_BEAST_USE_STD_STRING_VIEW
#define BOOST_ASIO_NO_DEPRECATED
