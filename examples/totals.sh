#!/bin/sh
# totals.sh: a program in shell for `penstock run --exec`: what each order comes to.
#
#     penstock run --exec ./totals.sh --input orders.jsonl --output totals.jsonl
#
# A filter is enough, as long as it prints one line for each line it reads. An order without a price
# fails with a reason, one without a count gives nothing to write.
exec jq -c --unbuffered '
    if .price == null then {penstock: {fail: "no price", type: "NoPrice", final: true}}
    elif .count == null then {penstock: {skip: true}}
    else {id, total: (.price * .count)} end'
