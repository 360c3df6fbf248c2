#!/bin/bash
# Debian packages of the engines that many hosts share: for the tests, `make cluster` and `make grid`. Their services are
# not started: tests start their own, with folders of their own.
. "$(dirname "$0")/common.sh"
packages=(rabbitmq-server postgresql mariadb-server memcached haproxy)
install_packages engines "${packages[@]}"
