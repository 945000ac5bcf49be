// The compiled part of Boost.Asio and Boost.Beast (see boost_config.h).
#include "gateway/http/boost_config.h"

#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
