#!/bin/sh
# A `zfs` or `zpool` for tests of jobs. A link to this file stands beside the file `answer`, which says what it does, and
# `calls`, where it notes what it was asked. The answer is read and not run: a program that was just written cannot be
# run while another thread's child still has it open.
here=${0%/*}
tool=${0##*/}
echo "$tool $*" >> "$here/calls"
. "$here/answer"
