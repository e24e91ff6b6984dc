#!/bin/sh
# Finishes a stand-in's root file system (see standins.py); mmdebstrap calls it with the folder.
set -eu
root=$1
python=python$STANDIN_PYTHON

# As in the image whose name the stand-in bears: commands in /usr/local/bin, pip free to install.
ln -s "/usr/bin/$python" "$root/usr/local/bin/$python"
ln -s "$python" "$root/usr/local/bin/python3"
ln -s python3 "$root/usr/local/bin/python"
rm -f "$root/usr/lib/$python/EXTERNALLY-MANAGED"
chroot "$root" sh -c 'PYTHONPATH=$(echo /usr/share/python-wheels/pip-*.whl) "$0" -m pip --isolated install \
    --quiet --root-user-action=ignore --no-cache-dir --no-compile \
    --no-index --find-links /usr/share/python-wheels pip' "/usr/local/bin/$python"

# The machine's own certificate authorities, or nothing in a build reaches what they guard.
if [ -d "$STANDIN_CERTIFICATES" ]; then
    cp -R "$STANDIN_CERTIFICATES/." "$root/usr/local/share/ca-certificates/"
    chroot "$root" update-ca-certificates >/dev/null 2>&1
fi

# Nothing that is rebuilt at need, or that differs from one making to the next.
find "$root/usr" -name __pycache__ -type d -prune -exec rm -rf {} +
rm -rf "$root/var/lib/apt/lists/"* "$root/var/cache/apt/"*.bin "$root/var/log/"*.log "$root/var/log/apt"
