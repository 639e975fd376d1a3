# In the place of `zfs`, for one measurement: a source with 100,000 snapshots of which the target has all but ten.
# Everything that is not a listing of snapshots is answered by the real program.
names() { # DATASET COUNT
  awk -v dataset="$1" -v count="$2" 'BEGIN {
    for (i = 1; i <= count; i++) printf "%s@autosnap_2026-01-01_00:00:00_%07d\t%d\t%d\n", dataset, i, 1000000 + i, 100 + i }'
}
case "$*" in
*"-t snapshot,bookmark "*) names rpool/data 100000 ;;
*"-t snapshot "*"-r zferry"*) names zferry/data 99990 ;;
"get "*) # details: IV sets equal on both sides, nothing held
  shift 5
  for name in "$@"; do
    id=${name##*_}
    printf '%s\tivsetguid\t%d\t-\n%s\tuserrefs\t0\t-\n%s\tnumclones\t0\t-\n%s\twritten\t1000\t-\n%s\treferenced\t1000\t-\n' \
      "$name" "$((10#$id + 5))" "$name" "$name" "$name" "$name"
  done ;;
*) exec $real "$@" ;;
esac
