"""What `make up` shows when everything is ready: digits are classified, then there is a chat."""

import chat
import classify

if __name__ == "__main__":
    classify.main()
    chat.main()
