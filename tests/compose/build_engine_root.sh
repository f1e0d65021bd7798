#!/bin/sh
# Fill the folder FOLDER: root/, a Debian system with the engine, and base.tar, one with Python.
#     build_engine_root.sh FOLDER MIRROR SUITE
# Nothing is installed on this machine, and no service is started.
set -eu
cd "$1"
apt-get -qq -o APT::Sandbox::User=root download debootstrap
dpkg-deb -x debootstrap_*.deb .
DEBOOTSTRAP_DIR=$PWD/usr/share/debootstrap usr/sbin/debootstrap --variant=minbase \
  --include=ca-certificates,python3,python3-pip,python3-venv "$3" "$PWD/root" "$2"

# What the image `python` has, and the certificates that this machine trusts: pip asks for them.
ln -s python3 root/usr/bin/python
cat /etc/ssl/certs/ca-certificates.crt >root/etc/ssl/certs/ca-certificates.crt
tar -C root -cf base.tar .

printf '#!/bin/sh\nexit 101\n' >root/usr/sbin/policy-rc.d
chmod 755 root/usr/sbin/policy-rc.d
cat /etc/resolv.conf >root/etc/resolv.conf
mount -t proc proc root/proc
export DEBIAN_FRONTEND=noninteractive
chroot root apt-get -qq update
chroot root apt-get -qq install --no-install-recommends \
  docker.io docker-cli docker-compose iproute2 iptables nftables slirp4netns
chroot root apt-get clean
echo 'nameserver 10.0.2.3' >root/etc/resolv.conf # slirp4netns answers there
