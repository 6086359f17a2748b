# The way in without a zygote.


def main(argv):
    arguments = dict(zip(argv[::2], map(int, argv[1::2])))
    if "--fd" not in arguments:
        sys.exit("usage: bootstrap.py --fd N")
    _sane_process()
    if "--resume" in arguments:
        resume(arguments["--fd"], arguments["--resume"])
    serve(arguments["--fd"])


if __name__ == "__main__":
    main(sys.argv[1:])
